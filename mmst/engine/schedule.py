"""Iterations in which a run trains subnets, and the weight of their losses."""

from __future__ import annotations

from dataclasses import dataclass

from mmengine.runner import Runner

from mmst.core import weight_factor

from .run_checks import check_epochs
from .settings import StimulativeSettings

__all__ = ['Schedule']


@dataclass(frozen=True)
class Schedule:
    """The weight of subnets over the iterations of one run.

    Args:
        settings: Those of the hook.
        first_iter: First stimulated iteration.
        max_iters: Iterations of the run.
    """

    settings: StimulativeSettings
    first_iter: int
    max_iters: int

    @classmethod
    def of(cls, settings: StimulativeSettings, runner: Runner) -> Schedule:
        """Returns the schedule of a run.

        Raises:
            ValueError: The settings count epochs, but the training loop does not.
        """
        first_iter = settings.begin
        if settings.by_epoch:
            check_epochs(runner)
            first_iter *= len(runner.train_dataloader)
        return cls(settings, first_iter, runner.max_iters)

    @property
    def trains_subnets(self) -> bool:
        """Tells whether there is an iteration with subnets."""
        steps = range(self.first_iter, self.max_iters, self.settings.interval)
        return any(self.weight_at(step) for step in steps)

    def weight_at(self, step: int) -> float:
        """Weight of the subnet losses in an iteration, 0 if none is trained."""
        done = step - self.first_iter
        if done < 0 or done % self.settings.interval:
            return 0.0
        progress = done / (self.max_iters - self.first_iter)
        return self.settings.weight * weight_factor(self.settings.weight_schedule, progress)

    def __str__(self) -> str:
        interval, weight = self.settings.interval, self.settings.weight
        every = 'every iteration' if interval == 1 else f'every {interval} iterations'
        return (
            f'{every} from iteration {self.first_iter}, weight {weight:g} '
            f'({self.settings.weight_schedule})'
        )
