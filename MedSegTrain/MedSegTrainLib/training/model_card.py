"""The model card: what a model is for, what it learned from, what was measured, and what it cannot do."""

from __future__ import annotations

from MedSegDLLib.bundle import MODEL_CARD, Bundle

from .recipe import Recipe


def write_model_card(bundle: Bundle, recipe: Recipe) -> None:
    """Write docs/README.md from the bundle's metadata, its results and its recipe."""
    path = bundle.folder / MODEL_CARD
    path.parent.mkdir(exist_ok=True)
    path.write_text(_card(bundle, recipe), encoding="utf-8")


def _card(bundle: Bundle, recipe: Recipe) -> str:
    spec, about = bundle.spec, bundle.metadata
    sections = [
        f"# {about['title']}\n\n{about['description']}",
        f"**Use:** {about['intended_use']}",
        "## Structures\n\n" + _table(("value", "structure"), [(x.value, x.name) for x in spec.labels]),
        "## Input\n\n"
        f"{about['image_classes']}. Modality {', '.join(spec.modality)}; resampled to "
        f"{' x '.join(f'{s:g}' for s in spec.spacing_mm)} mm; windows of {' x '.join(map(str, spec.patch))} voxels.",
        f"## Data and licence\n\n{about['data_source']}. Licence of the weights: {spec.licence} (see LICENSE).",
        "## Training\n\n" + " ".join((_training(recipe), about.get("training_note", ""))).strip(),
        "## Measured\n\n" + _results(spec.results),
    ]
    if about.get("limits"):
        sections.append(f"## Limits\n\n{about['limits']}")
    if about.get("references"):
        sections.append("## References\n\n" + "\n".join(f"- {reference}" for reference in about["references"]))
    return "\n\n".join(sections) + "\n"


def _training(recipe: Recipe) -> str:
    plan = recipe.optimisation
    return (
        f"Network `{recipe.spec.network.name}` {recipe.spec.network.arguments}. {plan.steps} steps of {plan.batch} "
        f"windows, AdamW from {plan.learning_rate:g}, Dice and cross-entropy loss, exponential average of the weights. "
        f"Recipe: `MedSegTrain/Resources/Recipes/{recipe.name}.yaml`."
    )


def _results(results: dict) -> str:
    if not results:
        return "Not measured yet."
    rows = [(name, f"{value:.4f}") for name, value in results["dice"].items()]
    rows.append(("mean", f"{results['mean_dice']:.4f}"))
    return (
        f"{results['split']} {results['cases']} cases; {results['precision']} on the CPU.\n\n"
        + _table(("structure", "Dice"), rows)
        + f"\n\nThe worst case has a mean Dice of {results['worst_case']:.4f}. Repeat with\n\n"
        f"    {results['command']}"
    )


def _table(head: tuple, rows: list[tuple]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
