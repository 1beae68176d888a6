"""What is wrong with a recording as a recording, in words."""

import numpy as np

from ecg.measurements.types import Measurements

# Visible on paper (about 1 mm from peak to peak; a wander of 10 mm), and rare: of 966 recordings of the Challenge's
# databases each is exceeded by 1 % at most.
NOISY_UV, MAINS_UV, WANDER_UV = 15.0, 20.0, 250.0
PLAUSIBLE_QRS_MV = (0.15, 4.0)  # median over leads of R to S


def quality_warnings(measured: Measurements) -> list[tuple[str, str]]:
    """A short word and a sentence for each thing that is wrong with the recording as a recording."""
    quality = measured.quality
    warnings = []
    if quality.leads_off:
        warnings.append(("lead off", f"No signal in {', '.join(quality.leads_off)}: an electrode may be off."))
    if quality.saturated:
        warnings.append(("clipped", f"{', '.join(quality.saturated)} at the recorder's limit for a while."))
    if quality.suspected_swap:
        warnings.append(
            (
                "swapped?",
                f"The limb electrodes {quality.suspected_swap.replace('-', ' and ')} may be "
                "exchanged: axes and findings in the limb leads would be wrong.",
            )
        )
    if quality.noise_uv > NOISY_UV:
        warnings.append(("noise", f"High-frequency noise of {quality.noise_uv:.0f} µV (RMS)."))
    if quality.mains_uv > MAINS_UV:
        warnings.append(("mains", f"Mains interference of {quality.mains_uv:.0f} µV."))
    if quality.baseline_uv > WANDER_UV:
        warnings.append(("wander", f"The baseline wanders by {quality.baseline_uv:.0f} µV (RMS)."))
    height = measured.amplitudes.r - measured.amplitudes.s
    height = height[np.isfinite(height)]
    if height.size and not PLAUSIBLE_QRS_MV[0] <= np.median(height) <= PLAUSIBLE_QRS_MV[1]:
        warnings.append(
            (
                "gain?",
                f"QRS complexes of {np.median(height):.2f} mV (median over leads): the gain that the "
                "header states may be wrong.",
            )
        )
    if measured.n_beats == 0:
        warnings.append(("no beats", "No heart beat was found."))
    return warnings
