"""The section ``[task]`` of a run file."""

from dataclasses import dataclass

from mpiedge.settings import setting


@dataclass(frozen=True)
class TaskSettings:
    """The data, and what is to be learnt from it."""

    name: str = setting(
        "",
        "mrpc, sst2, stsb, rte, cola, qnli or mnli; or classification, regression, language or "
        "seq2seq with files of one's own",
    )
    data: str = setting(
        "",
        "a folder with train and validation files (.tsv, .csv, .jsonl, .txt, each also .gz), or "
        "one training file, of which a tenth then validates; left out: the hub",
    )
    text: list[str] = setting(
        [],
        "columns of the text, or of the two texts of a pair; for seq2seq and prompt/completion "
        "files, of the input; left out: the usual names",
    )
    label: str = setting("", "column of the label or of the output text; left out: the usual names")
    labels: list[str] = setting(
        [],
        "classification: the labels in the order of their ids; left out: those in the train file",
    )
    client_files: list[str] = setting(
        [],
        "ring, split: the training file of each client, read on that client's rank alone; "
        "task.data then gives the validation examples, read on rank 0",
    )
    split: str = setting(
        "iid",
        "ring, split: how the training examples of task.data are divided where clients have "
        "no files of their own: evenly, by Dirichlet shares of each label, or sorted by label",
        choices=("iid", "dirichlet", "label"),
    )
    alpha: float = setting(0.5, "split dirichlet's parameter; smaller: more uneven", above=0)
    answer_mark: str = setting(
        "",
        "language with prompts: what stands before the answer in a completion, as #### in GSM8K; "
        "at the end every validation example is then answered by generation, see answer_match",
    )
    max_length: int = setting(128, "tokens kept of an example")
    max_target_length: int = setting(128, "seq2seq: tokens kept of an output text")
    target_tokenizer: str = setting(
        "", "seq2seq: folder of the tokenizer of the output text, where it differs from the input's"
    )
    train_examples: int = setting(0, "> 0: train on the first so many examples of a seeded shuffle")
    eval_examples: int = setting(0, "> 0: evaluate on the first so many examples")
