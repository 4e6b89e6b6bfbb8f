"""The results as Markdown tables: means and spreads over the seeds, and processor time."""

from statistics import mean, stdev


def tables(found, jobs, techniques):
    """The scores, those of the test files, and the processor's seconds, one table after another."""
    parts = {
        "score after the last epoch": _score,
        "the same on the test file": _test,
        "processor seconds of a run; of one that finds the activations": _seconds,
    }
    shown = [each for each in techniques if any(one["technique"] == each for one in found)]
    for title, cell in parts.items():
        yield from ("", f"{title}:", "", f"| task | measure | {' | '.join(shown)} |")
        yield f"|---|---|{'---|' * len(shown)}"
        for task, job in jobs.items():
            runs = {t: _runs(found, task, t) for t in shown}
            cells = [cell(runs[t], job) if runs[t] else "" for t in shown]
            if any(cells):
                yield f"| {task} | {job.measure} | {' | '.join(cells)} |"


def value(scores, measure):
    """A score by its name; ``mean`` is that of the two correlations."""
    if measure == "mean":
        return (scores["pearson"] + scores["spearman"]) / 2
    return scores[measure]


def _runs(found, task, technique):
    return [each for each in found if (each["task"], each["technique"]) == (task, technique)]


def _score(runs, job):
    return _spread([value(each["scores"][-1], job.measure) for each in runs])


def _test(runs, job):
    values = [value(each["test"], job.measure) for each in runs if "test" in each]
    return _spread(values) if values else ""


def _spread(values):
    if len(values) == 1:
        return f"{values[0]:.3f} (1)"
    return f"{mean(values):.3f} ± {stdev(values):.3f} ({len(values)})"


def _seconds(runs, job):
    del job
    whole = [[each["processor"][-1] for each in runs if each["cached"] is c] for c in (False, True)]
    return "; ".join(f"{mean(each):.0f}" for each in whole if each)
