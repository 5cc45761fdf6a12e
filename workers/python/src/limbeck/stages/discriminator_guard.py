"""Stop rules of adversarial training: when the discriminator has won, the student learns nothing good; when
the student's images become alike, it has found one that fools the discriminator.

Accuracy is smoothed over steps; above `stop_accuracy` for `stop_window_share` of the stage the rule
fires, and the student goes back to the last state kept while the accuracy was healthy. Windows are
shares of the stage, so that a tiny preset and a large one mean the same by it.

All state is tensors and is checkpointed: a resumed stage stops at the same step. The device is read
once per `check_every` steps only.
"""

import torch
from torch import Tensor, nn

from limbeck.training.ema import Ema

SMOOTHING = 0.9
"""Decay of the smoothed accuracy: a batch of 32 alone jumps by several percent."""


class DiscriminatorWon(Exception):
    """Ends the training loop from inside a step; the stage decides what it means."""


class StudentCollapsed(DiscriminatorWon):
    """The other way to lose: one image for every prompt. Ends the loop from inside a validation."""


class DiscriminatorGuard:
    """
    Args:
        steps: generator updates of the stage.
        stop_accuracy: smoothed accuracy above which a step is unhealthy, 0..1.
        stop_window_share: unhealthy steps in a row that end the stage, as a share of `steps`.
        check_every: steps between readings of the device.
    """

    def __init__(
        self,
        student: nn.Module,
        ema: Ema,
        *,
        steps: int,
        stop_accuracy: float,
        stop_window_share: float,
        check_every: int,
    ) -> None:
        self.student, self.ema = student, ema
        self.window = max(1, round(steps * stop_window_share))
        self.stop_accuracy = stop_accuracy
        self.check_every = min(check_every, self.window)
        self.accuracy = torch.tensor(0.5)
        self.unhealthy_steps = torch.tensor(0)
        self.kept_step = 0
        self.kept: dict[str, Tensor] = {}

    @torch.no_grad()
    def observe(self, step: int, accuracy: Tensor) -> None:
        """After update `step` (0-based), with the batch's accuracy over real and fake.

        Raises:
            DiscriminatorWon: the rule fired.
        """
        self.accuracy = SMOOTHING * self.accuracy.to(accuracy.device) + (1 - SMOOTHING) * accuracy
        unhealthy = self.accuracy > self.stop_accuracy
        self.unhealthy_steps = (self.unhealthy_steps.to(accuracy.device) + 1) * unhealthy
        done = step + 1
        if done % self.check_every == 0:
            held = int(self.unhealthy_steps)
            if held >= self.window:
                raise DiscriminatorWon(
                    f"the discriminator's smoothed accuracy {float(self.accuracy):.3f} stayed above"
                    f" {self.stop_accuracy} for {held} steps, up to step {done}"
                )
            # Once a window is often enough: the loss is at most two windows of training.
            if held == 0 and done - self.kept_step >= self.window:
                self._keep(done)

    def observe_spread(self, done: int, spread: float, lowest: float) -> None:
        """At a validation after `done` steps: the spread of the student's images, and what it may fall to.

        Raises:
            StudentCollapsed: it fell below.
        """
        if spread < lowest:
            raise StudentCollapsed(
                f"the student's images became alike: their spread is {spread:.3f} after step {done},"
                f" it may fall to {lowest:.3f}"
            )
        if int(self.unhealthy_steps) == 0:
            self._keep(done)

    def restore(self) -> int:
        """Puts the last healthy weights into student and EMA; returns their step, 0 when there are none."""
        if self.kept_step:
            weights = {name[len("raw.") :]: v for name, v in self.kept.items() if name.startswith("raw.")}
            self.student.load_state_dict(weights)
            self.ema.load(
                {name[len("ema.") :]: v for name, v in self.kept.items() if name.startswith("ema.")}
            )
        return self.kept_step

    def _keep(self, done: int) -> None:
        self.kept_step = done
        self.kept = {f"raw.{name}": v.detach().clone() for name, v in self.student.state_dict().items()}
        self.kept |= {f"ema.{name}": v.clone() for name, v in self.ema.weights.items()}

    def state_tensors(self) -> dict[str, Tensor]:
        return {
            "accuracy": self.accuracy,
            "unhealthy_steps": self.unhealthy_steps,
            "kept_step": torch.tensor(self.kept_step),
            **{f"kept.{name}": value for name, value in self.kept.items()},
        }

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.accuracy, self.unhealthy_steps = tensors["accuracy"].clone(), tensors["unhealthy_steps"].clone()
        self.kept_step = int(tensors["kept_step"])
        prefix = "kept."
        self.kept = {name[len(prefix) :]: v.clone() for name, v in tensors.items() if name.startswith(prefix)}
