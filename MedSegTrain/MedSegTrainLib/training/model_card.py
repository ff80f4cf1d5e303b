"""The model card: what a model is for, what it learned from, what was measured, and what it cannot do."""

from __future__ import annotations

from MedSegDLLib.atomic import output_errors
from MedSegDLLib.bundle import MODEL_CARD, Bundle
from MedSegDLLib.errors import InputError
from MedSegDLLib.interaction.measures import seconds_text

from ..data.overview import counted
from .facts import FACTS, read_facts
from .recipe import read_recipe
from .recipe_fields import Recipe

FACTS_IN_BUNDLE = MODEL_CARD.parent / FACTS
RECIPE_IN_BUNDLE = MODEL_CARD.parent / "recipe.yaml"

_OPTIMISERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD with Nesterov's momentum"}
_LOSSES = {
    "cross_entropy": "cross-entropy",
    "dice": "Dice",
    "dice_ce": "Dice and cross-entropy",
    "focal": "focal",
    "tversky": "Tversky",
    "boundary": "Dice, cross-entropy and boundary",
}


def write_model_card(bundle: Bundle, recipe: Recipe) -> None:
    """Write docs/README.md from the bundle's metadata, its results, its recipe and what is known of its training."""
    path = bundle.folder / MODEL_CARD
    with output_errors(path):
        path.parent.mkdir(exist_ok=True)
        path.write_text(_card(bundle, recipe), encoding="utf-8")


def recipe_of(bundle: Bundle) -> Recipe | None:
    """The recipe that a bundle was made by; None where it does not say."""
    path = bundle.folder / RECIPE_IN_BUNDLE
    try:
        return read_recipe(path) if path.exists() else None
    except InputError:  # of a later version; the model itself is none the worse
        return None


def _card(bundle: Bundle, recipe: Recipe) -> str:
    spec, about = bundle.spec, bundle.metadata
    facts = read_facts(bundle.folder / FACTS_IN_BUNDLE.parent)
    sections = [
        f"# {about['title']}\n\n{about['description']}",
        f"**Use:** {about['intended_use']}",
        "## Structures\n\n" + _table(("value", "structure"), [(x.value, x.name) for x in spec.labels]),
        "## Input\n\n" + _input(bundle),
        f"## Data and licence\n\n{_data(bundle, facts)} Licence of the weights: {spec.licence} (see LICENSE).",
        "## Training\n\n" + " ".join((_training(recipe), _course(facts), about.get("training_note", ""))).strip(),
        "## Measured\n\n" + _results(spec.results),
    ]
    if about.get("limits"):
        sections.append(f"## Limits\n\n{about['limits']}")
    if about.get("references"):
        sections.append("## References\n\n" + "\n".join(f"- {reference}" for reference in about["references"]))
    return "\n\n".join(sections) + "\n"


def _input(bundle: Bundle) -> str:
    spec = bundle.spec
    channels = f"Channels: {', '.join(spec.channels)}. " if len(spec.channels) > 1 else ""
    modality = f"Modality {', '.join(spec.modality)}" if spec.modality else "Any modality"
    return (
        f"{bundle.metadata['image_classes']}. {channels}{modality}; resampled to "
        f"{' x '.join(f'{s:g}' for s in spec.spacing_mm)} mm; windows of {' x '.join(map(str, spec.patch))} voxels."
    )


def _data(bundle: Bundle, facts: dict) -> str:
    source = f"{bundle.metadata['data_source']}."
    if not facts:
        return source
    training, validation = (facts["cases"][part] for part in ("training", "validation"))
    return f"{source} {counted(training, 'case')} to train on, {validation} to validate; {facts['split']}."


def _training(recipe: Recipe) -> str:
    plan, loss = recipe.optimisation, recipe.loss
    length = f"{plan.steps} steps" if plan.steps else f"{plan.epochs} epochs"
    average = ", exponential average of the weights" if plan.averaging_decay else ""
    preset = f" (preset {recipe.preset})" if recipe.preset else ""
    return (
        f"Network `{recipe.spec.network.name}` {recipe.spec.network.arguments}. {length} of {plan.batch} "
        f"windows, {_OPTIMISERS[plan.optimiser]} from {plan.learning_rate:g}, {_LOSSES[loss.name]} loss{average}. "
        f"Recipe: `{recipe.name}`{preset}."
    )


def _course(facts: dict) -> str:
    """How the training went, in sentences; "" where nothing is known of it."""
    if not facts:
        return ""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    sentences = [
        f"It ended after {facts['steps']} steps and {seconds_text(facts['seconds'])} on {facts['hardware']} in "
        f"{facts['precision']}, with seed {facts['seed']} ({versions})."
    ]
    best = facts["best"]
    if best:
        kept = "were kept" if facts["kept"].startswith("best") else "were not kept, the last were"
        sentences.append(
            f"The best weights, of epoch {best['epoch']}, reached a mean Dice of {best['dice']:.4f} on the validation "
            f"cases and {kept}. That figure helped to choose them; it is no measurement."
        )
    return " ".join(sentences)


def _results(results: dict) -> str:
    if not results:
        return "Not measured yet."
    rows = [(name, f"{value:.4f}") for name, value in results["dice"].items()]
    rows.append(("mean", f"{results['mean_dice']:.4f}"))
    return (
        f"{results['split']} {counted(results['cases'], 'case')}; {results['precision']} on "
        f"{results.get('device', 'the CPU')}.\n\n"
        + _table(("structure", "Dice"), rows)
        + f"\n\nThe worst case has a mean Dice of {results['worst_case']:.4f}. Repeat with\n\n"
        f"    {results['command']}"
    )


def _table(head: tuple, rows: list[tuple]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
