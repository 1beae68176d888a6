"""The SE-ResNet of Zhao et al. (Computing in Cardiology 2020, paper 112); methods say what goes into it."""

import torch
from torch import Tensor, nn

from ecg.networks.masking import masked, masked_mean, masks_at_levels


class SqueezeExcitation(nn.Module):
    """Channel weights from each channel's mean (Hu et al. 2018): (B, C, T) -> (B, C, T)."""

    def __init__(self, n_channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(n_channels, n_channels // reduction, bias=False),
            nn.ReLU(),
            nn.Linear(n_channels // reduction, n_channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        gate = self.fc(masked_mean(x, mask))  # (B, C)
        return x * gate.unsqueeze(2)


class BasicBlock(nn.Module):
    """Residual block with 7-tap kernels, dropout between the convolutions, squeeze and excitation before the sum."""

    def __init__(self, n_in: int, n_out: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(n_in, n_out, kernel_size=7, stride=stride, padding=3, bias=False)
        self.bn1 = nn.BatchNorm1d(n_out)
        self.conv2 = nn.Conv1d(n_out, n_out, kernel_size=7, padding=3, bias=False)
        self.bn2 = nn.BatchNorm1d(n_out)
        self.se = SqueezeExcitation(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.downsample = nn.Sequential(
                nn.Conv1d(n_in, n_out, kernel_size=1, stride=stride, bias=False), nn.BatchNorm1d(n_out)
            )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        out = self.dropout(masked(self.relu(self.bn1(self.conv1(x))), mask))
        out = self.se(masked(self.bn2(self.conv2(out)), mask), mask)
        return masked(self.relu(out + self.downsample(x)), mask)


class SEResNet(nn.Module):
    """The 18-layer SE-ResNet of Zhao et al. (paper, figure 2); 8,837,060 parameters.

    The state dict has the published names and shapes, so the authors' checkpoints load into it.

    `dropout`: between the two convolutions of each block. `n_features`: numbers beside the signal: five for age and
    sex, as published. `width`: channels of every level, relative to the published 64, 128, 256 and 512.
    """

    def __init__(
        self, n_leads: int = 12, n_classes: int = 24, dropout: float = 0.2, n_features: int = 5, width: float = 1.0
    ) -> None:
        super().__init__()
        c64, c128, c256, c512 = (round(width * channels) for channels in (64, 128, 256, 512))
        self.conv1 = nn.Conv1d(n_leads, c64, kernel_size=15, stride=2, padding=7, bias=False)
        self.bn1 = nn.BatchNorm1d(c64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool1d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._level(c64, c64, 1, dropout)
        self.layer2 = self._level(c64, c128, 2, dropout)
        self.layer3 = self._level(c128, c256, 2, dropout)
        self.layer4 = self._level(c256, c512, 2, dropout)
        self.fc1 = nn.Linear(n_features, 10)
        self.fc = nn.Linear(10 + c512, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _level(n_in: int, n_out: int, stride: int, dropout: float) -> nn.Sequential:
        return nn.Sequential(BasicBlock(n_in, n_out, stride, dropout), BasicBlock(n_out, n_out, 1, dropout))

    def forward(self, signal: Tensor, demographics: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits of the classes.

        `signal`, (n_items, n_leads, n_samples), float32: 4096 samples at 257 Hz as published; any number from about 100
        up is possible. `demographics`, (n_items, n_features), float32: what is known beside the signal. `lengths`,
        (n_items,), int64: samples of each item before its padding with zeros on the right. Given these, the padding has
        no part in any convolution's result or mean: in evaluation mode the logits are those of the item by itself.
        Without them (as published) padding is signal. Returns (n_items, n_classes).
        """
        masks = masks_at_levels(lengths, signal.shape[2], 5, round_up=True)[1:]
        x = masked(self.relu(self.bn1(self.conv1(signal))), masks[0])
        x = masked(self.maxpool(x), masks[1])  # (B, 64, T/4)
        for level, mask in zip((self.layer1, self.layer2, self.layer3, self.layer4), masks[1:], strict=True):
            for block in level:
                x = block(x, mask)
        pooled = masked_mean(x, masks[-1])  # (B, 512), of T/32 positions
        logits: Tensor = self.fc(torch.cat([self.fc1(demographics), pooled], dim=1))
        return logits
