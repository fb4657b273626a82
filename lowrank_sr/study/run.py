"""The command `study`: measure what has not been measured yet, then write the report."""

from pathlib import Path

from lowrank_sr.errors import InputError
from lowrank_sr.machine import cpu
from lowrank_sr.study import record
from lowrank_sr.study.measure.steps import steps
from lowrank_sr.study.report import figures, markdown, page, style, tables
from lowrank_sr.study.report.claims import claims
from lowrank_sr.study.settings import check_methods, fingerprint, open_study
from lowrank_sr.text import progress, table


def study(
    folder: Path,
    weights: Path | None = None,
    data: Path | None = None,
    quick: bool = False,
    full_size: bool = False,
    methods: list[str] | None = None,
    seed: int = 0,
) -> dict:
    """Run the study into `folder`: results.json, report.html, report.md, figures/, crops/ and networks/.

    Steps that an earlier run with the same settings, files and machine has left there are not computed again.

    Returns the results. Raises InputError where Matplotlib is missing, for an unknown method, and for weights, pictures
    or a folder that cannot be used.
    """
    style.need_matplotlib()
    compared = check_methods(methods)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder: {error.strerror}") from error
    work, settings = open_study(folder, weights, data, quick, full_size, compared, seed)
    mark = fingerprint(settings, weights, data)
    done = record.read(folder / "results.json", mark)
    todo = steps(work)
    finished = {name: done[name] for name in todo if name in done}

    with progress(len(todo), "study", "step") as bar:
        bar.update(len(finished))
        for name, step in todo.items():
            if name not in finished:
                bar.set_description(name)
                finished[name] = step()
                record.write(folder / "results.json", mark, settings, cpu.describe(), finished, [])
                bar.update()
    ordered = {name: finished[name] for name in todo}
    results = record.write(folder / "results.json", mark, settings, cpu.describe(), ordered, claims(ordered))
    figures.write(results, folder)
    markdown.write(results, folder)
    page.write(results, folder)
    return results


def summary(results: dict, folder: Path) -> str:
    """Table 1 and the verdicts as text, and where the report is."""
    first = tables.table1(results["steps"])
    verdicts = (f"{claim['claim']}: {claim['measured']['verdict']}" for claim in results["claims"])
    return "\n".join([table(first.header, first.rows), "", *verdicts, "", str(folder / "report.html")])
