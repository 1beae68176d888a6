"""The picture of cost and quality: it draws what the document's table says, and nothing else."""

from ecg.__main__ import main
from ecg.studies import cost_quality
from test_project import ROOT

TABLE = """# Page

## Cost and quality

| model | ms a recording | a second and core | without bfloat16 | external: metric, AUROC |
|---|---|---|---|---|
| one | 5 | 100 | 70.5 | 0.512, 0.881 |
| two | 9 | 55 | 40 | – |

## Another

| model | a second and core |
|---|---|
| three | 1 |
"""


def test_rows_with_a_metric_are_read(tmp_path):
    (tmp_path / "page.md").write_text(TABLE)
    assert cost_quality.read_costs(tmp_path / "page.md") == [cost_quality.Cost("one", 100, 70.5, 0.512)]


def test_the_documents_table_is_drawn(tmp_path):
    page = ROOT / "docs" / "performance.md"
    assert len(cost_quality.read_costs(page)) >= 6
    assert main(["benchmark", "cost-quality", str(page), str(tmp_path / "costs.png")]) == 0
    assert (tmp_path / "costs.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_without_the_table_is_refused(tmp_path, capsys):
    (tmp_path / "page.md").write_text("# Page\n\n| model |\n|---|\n| one |\n")
    assert main(["benchmark", "cost-quality", str(tmp_path / "page.md"), str(tmp_path / "costs.png")]) == 2
    assert f"{tmp_path / 'page.md'}: expected a table of model" in capsys.readouterr().err
    assert not (tmp_path / "costs.png").exists()
