"""Run a recipe in a folder: train, validate, write checkpoints, and go on where an interrupted training stopped.

recipe.yaml     all that decided the training
last.ckpt, previous.ckpt, best.ckpt     see `checkpoints`
status.json, events.jsonl, request      see `run_folder`
curves.csv, tensorboard/                the events as a table, and for TensorBoard
training.json   what is to be known of a finished training: see `facts`
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from MedSegDLLib.errors import CancelledError, DeviceError, InputError, WorkerError

from ..data.heads import built
from ..data.samples import Sample
from .averaging import Averaging
from .checkpoints import BEST, LAST, WholeFiles, newest_whole, step_of
from .control import Control
from .facts import facts_of, read_facts, write_facts
from .fine_tune import load_initial
from .former import check_former
from .journal import Journal
from .lightnings_words import without_needless_words
from .losses import count_classes, inverse_frequency
from .machine import Machine, lightnings_precision
from .module import SegmentationModule
from .patches import Patches, patch_loader
from .recipe import write_recipe
from .recipe_fields import Recipe
from .run_folder import DONE, PREPARING
from .run_session import RunSession
from .schedule import Schedule
from .validation import validation_loader

RECIPE = "recipe.yaml"
Samples = Sequence[Callable[[], Sample]]


def train(
    recipe: Recipe,
    folder: Path,
    training: Samples,
    validation: Samples = (),
    *,
    devices: str | int = "auto",
    nodes: int = 1,
    allow_cpu: bool = False,
    workers: int = 0,
    initial: Path | None = None,
    control: RunSession | None = None,
) -> Path:
    """Train and return the checkpoint that is the result. A second call with the same folder goes on.

    Args:
        recipe: what to train.
        folder: of this training alone.
        training: functions that give one sample each.
        validation: others, which are looked at between the epochs; none: no validation, and no best checkpoint.
        devices: "auto" (a GPU), "cpu", "gpu", or how many GPUs of each computer.
        nodes: computers that train together, each of which runs this call (Lightning's launcher, or SLURM's).
        allow_cpu: train on the CPU where there is no GPU.
        workers: processes that make patches beside the one that trains.
        initial: folder of a bundle to start from instead of random weights.
        control: the hold on the folder, where the caller has it already, and says itself when all is done.

    Raises:
        CancelledError: somebody asked it to stop; the next call goes on.
        DeviceError: there is no GPU, not as many, or its memory does not suffice.
        InputError: the recipe, the samples or the folder do not fit; another training runs in the folder.
        OutputError: the disk does not take a checkpoint; the ones before are whole.
        ModelError: all checkpoints are damaged or of another network, or the initial bundle is damaged.
        WorkerError: another of the processes that train together has died.
    """
    folder = Path(folder)
    with nullcontext(control) if control else RunSession(folder) as session:
        work = _Training(recipe, folder, training, validation, session)
        result = work.run(devices, nodes, allow_cpu, workers, initial)
        if control is None:
            session.say(DONE, f"Done after {read_facts(folder)['steps']} steps", remaining_seconds=0.0)
        return result


class _Training:
    """One call of `train`."""

    def __init__(self, recipe: Recipe, folder: Path, training: Samples, validation: Samples, session: RunSession):
        if not training:
            raise InputError("There is no case to train on.", "Add cases, or choose another split.")
        training = _learnable(recipe, training)
        if recipe.optimisation.early_stop_epochs and not validation:
            raise InputError("Without cases to validate on no training can stop early.", "Drop early_stop_epochs.")
        self.recipe, self.folder, self.session = recipe, folder, session
        self.training, self.validation = training, validation
        validates = recipe.validation.every_epochs if validation else None
        self.schedule = Schedule.of(recipe.optimisation, len(training), validates)

    def run(self, devices, nodes: int, allow_cpu: bool, workers: int, initial: Path | None) -> Path:
        self.machine = Machine.choose(devices, allow_cpu, nodes)
        batch = self.machine.batch_of_each(self.recipe.optimisation.batch)
        L.seed_everything(self.recipe.optimisation.seed, workers=True, verbose=False)
        resumed = self._where_to_go_on()
        if resumed and self.session.leads:
            self._note(check_former(self.folder / RECIPE, self.recipe, self._is_finished()))
        if resumed and self._is_finished():
            return self._result
        module = SegmentationModule(self.recipe, self.schedule.steps, self._class_weights())
        if initial and not resumed:
            self._note(load_initial(module.network, self.recipe.spec, initial))
        if self.session.leads:
            write_recipe(self.recipe, self.folder / RECIPE)
        self._fit(module, batch, workers, resumed)
        return self._result

    def _fit(self, module: SegmentationModule, batch: int, workers: int, resumed: Path | None) -> None:
        step = step_of(resumed, module) if resumed else 0
        with without_needless_words():
            trainer, control = self._trainer(step)
        rank, world = trainer.global_rank, trainer.world_size
        plan = self.recipe.optimisation
        patches = Patches(
            self.training,
            self.recipe.spec,
            self.recipe.augmentation,
            batch=plan.batch,
            foreground_share=plan.foreground_share,
            seed=plan.seed,
        )
        gpu = self.machine.accelerator == "gpu"
        order = {"start_step": step, "rank": rank, "world": world}
        loader = patch_loader(patches, batch, self.schedule.steps, workers=workers, pin_memory=gpu, **order)
        others = validation_loader(self.validation, self.recipe, batch, rank, world) if self.validation else None
        with control.signals.heeded(), without_needless_words():
            try:
                trainer.fit(module, loader, others, ckpt_path=resumed, weights_only=True)
            except SIGTERMException as error:
                raise CancelledError("Stopped by the system.", "The same command goes on from there.") from error
            except torch.OutOfMemoryError as error:
                raise DeviceError(
                    "The memory of the GPU does not suffice for this training.",
                    "Choose a smaller patch (medseg.patch) or batch (optimisation.batch), or a smaller network.",
                    str(error),
                ) from error
            except RuntimeError as error:
                if not _tells_of_another_process(error):
                    raise
                raise WorkerError(
                    "Another process of this training has ended unexpectedly.",
                    "Look into what it printed; the same command goes on from the last checkpoint.",
                    str(error),
                ) from error
            control.save(trainer)
        self._finish(trainer.global_step)
        trainer.strategy.barrier()  # the others read what the first has written

    def _trainer(self, step: int) -> tuple[L.Trainer, Control]:
        plan, gpu = self.recipe.optimisation, self.machine.accelerator == "gpu"
        structures = [label.name for label in self.recipe.spec.labels]
        control = Control(self.folder, self.session, self.schedule, self.recipe.checkpoints, plan)
        callbacks = [Journal(self.session, self.schedule, structures), control]
        if plan.averaging_decay:
            callbacks.insert(0, Averaging(plan.averaging_decay))
        trainer = L.Trainer(
            default_root_dir=self.folder,
            accelerator=self.machine.accelerator,
            devices=self.machine.devices,
            num_nodes=self.machine.nodes,
            strategy=self.machine.strategy(),
            sync_batchnorm=gpu and self.machine.processes > 1,
            precision=lightnings_precision(self.machine.precision(plan.precision)),
            max_steps=self.schedule.steps,
            max_epochs=-1,
            # the training is one epoch of Lightning's, which can be taken up again in its middle
            check_val_every_n_epoch=None,
            val_check_interval=self.schedule.steps_per_validation,
            num_sanity_val_steps=0,
            gradient_clip_val=plan.clip,
            use_distributed_sampler=False,
            benchmark=gpu,
            plugins=[WholeFiles()],
            logger=TensorBoardLogger(self.folder, name="tensorboard", version="", purge_step=step + 1),
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=self.schedule.steps,
        )
        return trainer, control

    def _class_weights(self) -> torch.Tensor | None:
        weights = self.recipe.loss.class_weights
        if weights == "none":
            return None
        if weights == "inverse_frequency":
            return inverse_frequency(count_classes(self.training, self.recipe.spec.network.out_channels))
        return torch.tensor(weights)

    def _where_to_go_on(self) -> Path | None:
        checkpoint, damaged = newest_whole(self.folder)
        for path in damaged:
            self._note(f"The checkpoint {path.name} is damaged. The training goes on from {checkpoint.name}.")
        return checkpoint

    def _is_finished(self) -> bool:
        facts = read_facts(self.folder)
        return facts.get("planned_steps") == self.schedule.steps and (self.folder / facts["kept"]).exists()

    def _finish(self, step: int) -> None:
        if self.session.leads:
            best = self.recipe.validation.keep == "best" and (self.folder / BEST).exists()
            kept = BEST if best else LAST
            cases = {"training": len(self.training), "validation": len(self.validation)}
            folder = self.session.folder
            facts = facts_of(folder, self.recipe, self.schedule, self.machine, cases, kept, step)
            write_facts(self.folder, facts)

    @property
    def _result(self) -> Path:
        return self.folder / read_facts(self.folder)["kept"]

    def _note(self, words: str) -> None:
        if words and self.session.leads:
            print(words)
            self.session.say(PREPARING, words)


def _tells_of_another_process(error: RuntimeError) -> bool:
    """NCCL has a class of errors, Gloo only its name."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def _learnable(recipe: Recipe, samples: Samples) -> Samples:
    """A network with a loss of its own cannot leave a structure open. Raises InputError where no case remains."""
    with torch.device("meta"):
        network = built(recipe.spec.network)
    if not hasattr(network, "training_loss"):
        return samples
    complete = [sample for sample in samples if sample().annotated.all()]
    if not complete:
        raise InputError(
            "This network learns only from cases in which every structure was looked for, and there is none.",
            "Choose another network, or fewer structures.",
        )
    return complete
