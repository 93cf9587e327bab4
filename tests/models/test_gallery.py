"""What the page of pictures shows is there: models, pictures, a source and a command for each."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_entry_has_its_model_picture_source_and_value():
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    models = re.findall(r"`collocode (?:solve|horizon) (\S+)`", page)
    pictures = re.findall(r"\((img/gallery/\w+\.png)\)", page)
    assert len(models) == len(set(models)) >= 27
    assert [Path(p).stem for p in pictures] == [Path(m).stem for m in models]
    assert page.count("\nSource: ") == page.count("| published | found |") == len(models)
    for model, picture in zip(models, pictures, strict=True):
        title = (ROOT / model).read_text(encoding="utf-8").splitlines()[0].removeprefix('"""')
        assert f"### {title}\n" in page
        assert (ROOT / "docs" / picture).stat().st_size > 5000
