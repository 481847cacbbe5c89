"""The list of bugs in optimizers, schedules, trainer, workers and evaluation."""

from __future__ import annotations

from minitransformer.data import Batch
from minitransformer.training import (
    SGD,
    Adam,
    AdamW,
    Noam,
    Optimizer,
    Trainer,
    WarmupCosine,
    evaluation,
    optimizers,
)
from minitransformer.training.parallel import ParallelTrainer, workers

from .injection import bug, bugs

# fmt: off

# ---- optimizers

SGD_FORMULA = "SGD is what its formula says, number by number"
ADAM = "Adam is what its algorithm says, number by number"
ADAMW = "AdamW is what its algorithm says, number by number"
RESTORED = "an optimizer that is restored goes on where it was"

bug("momentum with the wrong sign", SGD, "update", "v *= self.momentum", "v *= -self.momentum", SGD_FORMULA)
bug("momentum forgotten", SGD, "update", "v *= self.momentum", "v *= 0.0", SGD_FORMULA)
bug("velocity averaged, not summed", SGD, "update", "v += g", "v += (1.0 - self.momentum) * g", SGD_FORMULA)
bug("gradient ascent", SGD, "update", "w -= rate * v", "w += rate * v", SGD_FORMULA)
bug("step along the gradient, not the velocity", SGD, "update", "w -= rate * v", "w -= rate * g", SGD_FORMULA)
bug("learning rate ignored", SGD, "update", "w -= rate * v", "w -= v", SGD_FORMULA)
bug("step counter advanced once a chunk", Optimizer, "step",
    "self.update(value[part], grad[part], rate, **moments)",
    "self.update(value[part], grad[part], rate, **moments)\nself.t += 1", ADAM)
bug("step counter never advanced", Optimizer, "step", "self.t += 1", "self.t = 1", ADAM)
bug("moments thrown away after each step", Optimizer, "step", "if not self.moments:", "if True:", ADAM)
bug("first chunk alone updated", Optimizer, "step", "chunks(len(value))", "[slice(0, CHUNK)]", ADAM)
bug("mean's bias not corrected", Adam, "update", "rate / (1.0 - self.beta1**self.t)", "rate", ADAM)
bug("mean square's bias not corrected", Adam, "update", "(1.0 - self.beta2**self.t) ** -0.5", "1.0", ADAM)
bug("mean square's bias corrected outside the root", Adam, "update",
    "(1.0 - self.beta2**self.t) ** -0.5", "(1.0 - self.beta2**self.t) ** -1.0", ADAM)
bugs("eps inside the root",
     [(Adam, "update", "np.sqrt(v)", "np.sqrt(v + self.eps)"), (Adam, "update", "root += self.eps", "pass")], ADAM)
bug("eps forgotten", Adam, "update", "root += self.eps", "pass", ADAM)
bug("mean assigned, not averaged", Adam, "update", "m *= self.beta1", "m *= 0.0", ADAM)
bug("mean square assigned, not averaged", Adam, "update", "v *= self.beta2", "v *= 0.0", ADAM)
bug("betas exchanged", Adam, "update", "m *= self.beta1", "m *= self.beta2", ADAM)
bug("mean summed, not averaged", Adam, "update", "(1.0 - self.beta1) * g", "g", ADAM)
bug("mean square of the absolute value", Adam, "update", "(g * g)", "abs(g)", ADAM)
bug("Adam's step with the wrong sign", Adam, "update", "w -= root", "w += root", ADAM)
bug("weight decay added to the gradient", AdamW, "update",
    "w *= 1.0 - rate * self.weight_decay", "g = g + self.weight_decay * w", ADAMW)
bug("weight decay with the wrong sign", AdamW, "update", "1.0 - rate", "1.0 + rate", ADAMW)
bug("weight decay not scaled by the rate", AdamW, "update",
    "rate * self.weight_decay", "self.weight_decay", ADAMW)
bugs("weight decay after the step",
     [(AdamW, "update", "super().update(w, g, rate, m, v)",
       "super().update(w, g, rate, m, v)\nw *= 1.0 - rate * self.weight_decay + 0.0"),
      (AdamW, "update", "w *= 1.0 - rate * self.weight_decay\n", "\n")], ADAMW)
bug("weight decay forgotten", AdamW, "update", "w *= 1.0 - rate * self.weight_decay", "pass", ADAMW)
bug("step counter not restored", Optimizer, "restore", 'int(state["t"])', "0", RESTORED)
bug("moments not restored", Optimizer, "restore", "np.array(moment)", "np.zeros_like(moment)", RESTORED)

# ---- clipping

CLIPPING = "clipping scales the whole gradient to the largest norm, and only a longer one"
TRAINING = "three training steps are what gradient descent says, token by token"

bug("clipping scales a copy", optimizers, "clip_by_global_norm",
    "grad *= max_norm / norm", "grad = grad * (max_norm / norm)", CLIPPING)
bug("clipping scales short gradients up", optimizers, "clip_by_global_norm",
    "if norm > max_norm:", "if True:", CLIPPING)
bug("clipping number by number", optimizers, "clip_by_global_norm",
    "grad *= max_norm / norm", "np.clip(grad, -max_norm, max_norm, out=grad)", CLIPPING)
bug("clipping by the squared norm", optimizers, "clip_by_global_norm", "** 0.5", "** 1.0", CLIPPING)
bug("clipping by the root mean square", optimizers, "clip_by_global_norm",
    "np.dot(grad, grad)", "np.dot(grad, grad) / len(grad)", CLIPPING)
bug("clipping to a norm of one, whatever was asked", optimizers, "clip_by_global_norm",
    "grad *= max_norm / norm", "grad *= 1.0 / norm", CLIPPING)
bug("each tensor clipped by itself", Trainer, "train_step",
    "clip_by_global_norm(self.grad, np.inf if self.clip is None else self.clip)",
    "sum(clip_by_global_norm(p.grad.reshape(-1), self.clip) for p in self.model.parameters())", TRAINING)
bugs("gradient clipped after the step",
     [(Trainer, "train_step", "norm = clip_by_global_norm(self.grad, np.inf if self.clip is None else self.clip)",
       "norm = 0.0"),
      (Trainer, "train_step", "self.optimizer.step(self.value, self.grad, rate)",
       "self.optimizer.step(self.value, self.grad, rate)\nclip_by_global_norm(self.grad, self.clip)")], TRAINING)
bug("gradient not clipped", Trainer, "train_step",
    "np.inf if self.clip is None else self.clip", "np.inf", TRAINING)

# ---- schedules

SCHEDULES = "schedules are what their formulas say, step by step"

bug("Noam falls with the step, not its root", Noam, "__call__", "step**-0.5", "step**-1.0", SCHEDULES)
bug("Noam's warm-up with the wrong exponent", Noam, "__call__", "self.warmup**-1.5", "self.warmup**-0.5", SCHEDULES)
bug("Noam's maximum in place of its minimum", Noam, "__call__", "min(", "max(", SCHEDULES)
bug("Noam grows with the width", Noam, "__call__", "self.d_model**-0.5", "self.d_model**0.5", SCHEDULES)
bug("Noam counts steps from zero", Noam, "__call__", "return self.factor", "step -= 1\nreturn self.factor", SCHEDULES)
bug("warm-up counts steps from zero", WarmupCosine, "__call__", "self.rate * step", "self.rate * (step - 1)", SCHEDULES)
bug("warm-up one step too long", WarmupCosine, "__call__", "step / self.warmup", "step / (self.warmup + 1)", SCHEDULES)
bug("cosine never reaches its final rate", WarmupCosine, "__call__",
    "max(self.steps - self.warmup, 1)", "self.steps", SCHEDULES)
bug("cosine rises again after its end", WarmupCosine, "__call__",
    "min((step - self.warmup) / max(self.steps - self.warmup, 1), 1.0)",
    "(step - self.warmup) / max(self.steps - self.warmup, 1)", SCHEDULES)
bug("cosine falls to zero, not to its final rate", WarmupCosine, "__call__",
    "(self.rate - self.final) * 0.5", "self.rate * 0.5", SCHEDULES)
bug("quarter of a cosine in place of half", WarmupCosine, "__call__",
    "math.pi * progress", "0.5 * math.pi * progress", SCHEDULES)

# ---- trainer and workers

WORKERS = "two workers take the steps that one takes"

bug("gradient not zeroed", Trainer, "compute_gradient", "self.grad[...] = 0", "pass", TRAINING)
bug("a worker's gradient not zeroed", workers, "compute_share", "grad[...] = 0", "pass", WORKERS)
bug("the batch of the step before", Trainer, "fit",
    "batch_of(self.step)", "batch_of(max(self.step - 1, 0))", TRAINING)
bug("the same batch at every step", Trainer, "fit", "batch_of(self.step)", "batch_of(0)", TRAINING)
bug("the rate of the step before", Trainer, "train_step", "self.schedule(self.step + 1)", "self.schedule(self.step)",
    TRAINING)
bug("steps counted twice", Trainer, "train_step", "self.step += 1", "self.step += 2", TRAINING)
bug("the optimizer moves a copy of the weights", Trainer, "train_step",
    "self.optimizer.step(self.value,", "self.optimizer.step(self.value.copy(),", TRAINING)
bug("loss's gradient scaled by the number of tokens", Trainer, "compute_gradient",
    "self.loss.backward(1.0,", "self.loss.backward(float(batch.n_tokens),", TRAINING)
bug("padding among the tokens of a batch", Batch, "n_tokens",
    "self.targets != self.pad", "self.targets == self.targets", TRAINING)
bug("sentences averaged, not tokens", Batch, "n_tokens",
    "np.count_nonzero(self.targets != self.pad)", "len(self.targets)", TRAINING)
bug("each worker divides by its own tokens", workers, "compute_share",
    "loss.forward(logits, share.targets, normalizer)", "loss.forward(logits, share.targets)", WORKERS)
bug("workers' gradients averaged, not added", ParallelTrainer, "_compute_share",
    "self.grad += worker.grad", "self.grad[...] = (self.grad + worker.grad) / 2", WORKERS)
bug("other workers' gradients forgotten", ParallelTrainer, "_compute_share",
    "self.grad += worker.grad", "pass", WORKERS)
bug("other workers' losses forgotten", ParallelTrainer, "_compute_share",
    "loss += sum([worker.end() for worker in busy])", "[worker.end() for worker in busy]", WORKERS)
bug("every worker computes the first share", ParallelTrainer, "_compute_share",
    "worker.begin(share, normalizer", "worker.begin(shares[0], normalizer", WORKERS)
bug("replicas keep the first weights", workers, "replica",
    "copy.deepcopy(model, shared)", "copy.deepcopy(model)", WORKERS)
bug("the sentences that do not divide evenly dropped", Batch, "shares",
    "B * i // n for i", "B // n * i for i", WORKERS)


# ---- evaluation

EVALUATION = "loss, token accuracy and exact match are those counted by hand"

bug("padding counted as right or wrong", evaluation, "evaluate",
    "counted = batch.targets != pad", "counted = batch.targets == batch.targets", EVALUATION)
bug("exact match where any token is right", evaluation, "evaluate", ".all(axis=1)", ".any(axis=1)", EVALUATION)
bug("loss averaged over batches, not tokens", evaluation, "evaluate", "* batch.n_tokens", "* len(batch)", EVALUATION)
bug("second best taken for best", evaluation, "evaluate",
    "logits.argmax(axis=-1)", "logits.argsort(axis=-1)[..., -2]", EVALUATION)
