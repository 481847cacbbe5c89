"""PyTorch's side: modules written by hand, as one would for speed, and `nn.Transformer`; with our weights.

Every module has `tie(ours)`: which of its parameters is made of which of ours. Filling and comparing both go by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitransformer.commands.options import setting
from minitransformer.layers import Normal, Parameter, sinusoids
from minitransformer.models import GPT
from minitransformer.training.memory import keep_freed_memory

from .ours import error, prompt
from .process import Contender, resident
from .sizes import Size, new_batch, new_loss, new_model
from .text import Text

Of = Callable[[Parameter], np.ndarray]
Tie = tuple[Any, Callable[[Of], np.ndarray]]  # theirs, and how it is put together from either values or gradients


def tie_dense(theirs: Any, *ours: Any) -> Iterator[Tie]:
    """One linear layer of theirs is one or several of ours side by side."""
    yield theirs.weight, lambda of: np.concatenate([of(layer.weight).T for layer in ours])
    if theirs.bias is not None:
        yield theirs.bias, lambda of: np.concatenate([of(layer.bias) for layer in ours])


def tie_norm(theirs: Any, ours: Any) -> Iterator[Tie]:
    yield theirs.weight, lambda of: of(ours.gain)
    yield theirs.bias, lambda of: of(ours.bias)


class Attention(nn.Module):
    """Queries, keys and values in one product where they can be; PyTorch's own fused attention."""

    def __init__(self, size: Size, cross: bool = False) -> None:
        super().__init__()
        D = size.d_model
        self.heads, self.p, self.cross = size.n_heads, size.dropout, cross
        if cross:
            self.query, self.key_value = nn.Linear(D, D), nn.Linear(D, 2 * D)
        else:
            self.query_key_value = nn.Linear(D, 3 * D)
        self.out = nn.Linear(D, D)

    def split(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        return x.view(B, T, self.heads, D // self.heads).transpose(1, 2)

    def forward(self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None, causal: bool = False) -> Any:
        D = x.shape[-1]
        if self.cross:
            q, (k, v) = self.query(x), self.key_value(memory).split(D, dim=2)
        else:
            q, k, v = self.query_key_value(x).split(D, dim=2)
        return self.attend(self.split(q), self.split(k), self.split(v), mask, causal)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        p = self.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p, is_causal=causal)
        B, H, T, d = y.shape
        return self.out(y.transpose(1, 2).reshape(B, T, H * d))

    def tie(self, ours: Any) -> Iterator[Tie]:
        if self.cross:
            yield from tie_dense(self.query, ours.query)
            yield from tie_dense(self.key_value, ours.key, ours.value)
        else:
            yield from tie_dense(self.query_key_value, ours.query, ours.key, ours.value)
        yield from tie_dense(self.out, ours.output)


class Block(nn.Module):
    """A block of either stack: post-norm with ReLU as in 2017, or pre-norm with GELU as in GPT-2."""

    def __init__(self, size: Size, cross: bool) -> None:
        super().__init__()
        D, p = size.d_model, size.dropout
        self.gpt = size.kind == "gpt"
        self.attention, self.norm_1 = Attention(size), nn.LayerNorm(D)
        self.cross = Attention(size, cross=True) if cross else None
        self.norm_2 = nn.LayerNorm(D) if cross else None
        self.up_proj, self.down_proj, self.norm_3 = nn.Linear(D, size.d_ff), nn.Linear(size.d_ff, D), nn.LayerNorm(D)
        self.drop, self.drop_within = nn.Dropout(p), nn.Dropout(0.0 if self.gpt else p)

    def feed_forward(self, x: Tensor) -> Tensor:
        h = self.up_proj(x)
        h = F.gelu(h, approximate="tanh") if self.gpt else F.relu(h)
        return self.drop(self.down_proj(self.drop_within(h)))

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        if self.gpt:
            x = x + self.drop(self.attention(self.norm_1(x), causal=causal))
            return x + self.feed_forward(self.norm_3(x))
        x = self.norm_1(x + self.drop(self.attention(x, mask=mask, causal=causal)))
        if self.cross is not None and self.norm_2 is not None:
            x = self.norm_2(x + self.drop(self.cross(x, memory, memory_mask)))
        return self.norm_3(x + self.feed_forward(x))

    def step(self, x: Tensor, state: dict[str, Any], at: int) -> Tensor:
        """One new position (B, 1, D). The state holds buffers of keys and values, long enough for all."""
        h = self.norm_1(x) if self.gpt else x
        q, k, v = self.attention.query_key_value(h).split(x.shape[-1], dim=2)
        state["k"][:, :, at : at + 1] = self.attention.split(k)
        state["v"][:, :, at : at + 1] = self.attention.split(v)
        k, v = state["k"][:, :, : at + 1], state["v"][:, :, : at + 1]
        x = x + self.attention.attend(self.attention.split(q), k, v)
        if self.gpt:
            return x + self.feed_forward(self.norm_3(x))
        x = self.norm_1(x)
        if self.cross is not None and self.norm_2 is not None:
            q = self.cross.split(self.cross.query(x))
            x = self.norm_2(x + self.cross.attend(q, *state["memory"], state["mask"]))
        return self.norm_3(x + self.feed_forward(x))

    def tie(self, ours: Any) -> Iterator[Tie]:
        yield from self.attention.tie(ours.attention.sublayer)
        yield from tie_norm(self.norm_1, ours.attention.norm)
        if self.cross is not None:
            yield from self.cross.tie(ours.cross_attention.sublayer)
            yield from tie_norm(self.norm_2, ours.cross_attention.norm)
        yield from tie_dense(self.up_proj, ours.feed_forward.sublayer.up_proj)
        yield from tie_dense(self.down_proj, ours.feed_forward.sublayer.down_proj)
        yield from tie_norm(self.norm_3, ours.feed_forward.norm)


class HandWritten(nn.Module):
    """The encoder-decoder of 2017."""

    def __init__(self, size: Size, max_length: int = 512) -> None:
        super().__init__()
        D = size.d_model
        self.scale, self.smoothing = math.sqrt(D), size.label_smoothing
        self.table, self.drop = nn.Embedding(size.vocab, D), nn.Dropout(size.dropout)
        self.register_buffer("positions", torch.tensor(np.array(sinusoids(max_length, D, np.float32))))
        self.encoder = nn.ModuleList(Block(size, False) for _ in range(size.n_blocks))
        self.decoder = nn.ModuleList(Block(size, True) for _ in range(size.n_blocks))

    def embed(self, ids: Tensor, at: int = 0) -> Tensor:
        return self.drop(self.table(ids) * self.scale + self.positions[at : at + ids.shape[1]])

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        mask = (source != 0)[:, None, None, :]
        x = self.embed(source)
        for block in self.encoder:
            x = block(x, mask)
        return x, mask

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory, mask = self.encode(source)
        x = self.embed(target)
        for block in self.decoder:
            x = block(x, None, True, memory, mask)
        return x @ self.table.weight.T

    def loss(self, source: Tensor, target: Tensor, answers: Tensor) -> Tensor:
        logits = self(source, target)
        return F.cross_entropy(
            logits.view(-1, logits.shape[-1]), answers.view(-1), ignore_index=0, label_smoothing=self.smoothing
        )

    def begin(self, source: Tensor, start: int, tokens: int) -> tuple[list[dict[str, Any]], Tensor]:
        memory, mask = self.encode(source)
        states = []
        for block in self.decoder:
            k, v = block.cross.key_value(memory).split(memory.shape[-1], dim=2)
            # A mask that hides nothing costs time: it is left out, as one would.
            states.append(
                {
                    **buffers(block, source, tokens, memory),
                    "memory": (block.cross.split(k), block.cross.split(v)),
                    "mask": None if bool(mask.all()) else mask,
                }
            )
        return states, torch.full((len(source), 1), start)

    def step(self, ids: Tensor, states: list[dict[str, Any]], at: int) -> Tensor:
        x = self.embed(ids, at)
        for block, state in zip(self.decoder, states):
            x = block.step(x, state, at)
        return x @ self.table.weight.T

    def tie(self, ours: Any) -> Iterator[Tie]:
        yield self.table.weight, lambda of: of(ours.head.weight)
        for theirs, block in zip([*self.encoder, *self.decoder], [*ours.encoder.blocks, *ours.decoder.blocks]):
            yield from theirs.tie(block)


class HandWrittenGPT(nn.Module):
    """GPT-2."""

    def __init__(self, size: Size, max_length: int | None = None) -> None:
        super().__init__()
        D = size.d_model
        self.table, self.positions = nn.Embedding(size.vocab, D), nn.Embedding(max_length or size.length, D)
        self.drop = nn.Dropout(size.dropout)
        self.blocks = nn.ModuleList(Block(size, False) for _ in range(size.n_blocks))
        self.norm = nn.LayerNorm(D)

    def embed(self, ids: Tensor, at: int = 0) -> Tensor:
        return self.drop(self.table(ids) + self.positions.weight[at : at + ids.shape[1]])

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, causal=True)
        return self.norm(x) @ self.table.weight.T

    def loss(self, ids: Tensor, answers: Tensor) -> Tensor:
        logits = self(ids)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), answers.reshape(-1))

    def begin(self, ids: Tensor, start: None, tokens: int) -> tuple[list[dict[str, Any]], Tensor]:
        like = self.table.weight
        return [buffers(block, ids, tokens, like) for block in self.blocks], ids

    def step(self, ids: Tensor, states: list[dict[str, Any]], at: int) -> Tensor:
        x = self.embed(ids, at)
        for block, state in zip(self.blocks, states):
            x = block.step(x, state, at)
        return self.norm(x) @ self.table.weight.T

    def tie(self, ours: Any) -> Iterator[Tie]:
        yield self.table.weight, lambda of: of(ours.head.weight)
        yield self.positions.weight, lambda of: of(ours.embedding.positions.weight)
        for theirs, block in zip(self.blocks, ours.decoder.blocks):
            yield from theirs.tie(block)
        yield from tie_norm(self.norm, ours.decoder.norm)


def buffers(block: Any, ids: Tensor, tokens: int, like: Tensor) -> dict[str, Any]:
    H, D = block.attention.heads, like.shape[-1]
    return {name: like.new_empty(len(ids), H, tokens, D // H) for name in "kv"}


class Builtin(nn.Module):
    """`nn.Transformer`, and around it the one table and the sinusoids that it lacks."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        D, N = size.d_model, size.n_blocks
        self.scale, self.smoothing = math.sqrt(D), size.label_smoothing
        self.table, self.drop = nn.Embedding(size.vocab, D), nn.Dropout(size.dropout)
        self.core = nn.Transformer(D, size.n_heads, N, N, size.d_ff, size.dropout, batch_first=True)
        self.core.encoder.norm = self.core.decoder.norm = None  # the paper's post-norm has none there
        self.register_buffer("positions", torch.tensor(np.array(sinusoids(size.length, D, np.float32))))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        T = target.shape[1]
        padding = source == 0
        later = torch.triu(torch.ones(T, T, dtype=torch.bool), diagonal=1)
        x = self.drop(self.table(source) * self.scale + self.positions[: source.shape[1]])
        z = self.drop(self.table(target) * self.scale + self.positions[:T])
        y = self.core(
            x,
            z,
            tgt_mask=later,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
            tgt_is_causal=True,
        )
        return y @ self.table.weight.T

    loss = HandWritten.loss

    def tie(self, ours: Any) -> Iterator[Tie]:
        yield self.table.weight, lambda of: of(ours.head.weight)
        layers = [*self.core.encoder.layers, *self.core.decoder.layers]
        for theirs, block in zip(layers, [*ours.encoder.blocks, *ours.decoder.blocks]):
            wrapped = [(theirs.self_attn, block.attention)]
            if hasattr(block, "cross_attention"):
                wrapped.append((theirs.multihead_attn, block.cross_attention))
            for attention, residual in wrapped:
                yield from tie_builtin_attention(attention, residual.sublayer)
            yield from tie_dense(theirs.linear1, block.feed_forward.sublayer.up_proj)
            yield from tie_dense(theirs.linear2, block.feed_forward.sublayer.down_proj)
            norms = [residual.norm for _, residual in wrapped] + [block.feed_forward.norm]
            for i, norm in enumerate(norms, start=1):
                yield from tie_norm(getattr(theirs, f"norm{i}"), norm)


def tie_builtin_attention(theirs: Any, ours: Any) -> Iterator[Tie]:
    parts = (ours.query, ours.key, ours.value)
    yield theirs.in_proj_weight, lambda of: np.concatenate([of(part.weight).T for part in parts])
    yield theirs.in_proj_bias, lambda of: np.concatenate([of(part.bias) for part in parts])
    yield from tie_dense(theirs.out_proj, ours.output)


class HandWrittenLSTM(nn.Module):
    """`nn.LSTM` to read with and to write with, Luong's attention (general) between them."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        D, N, V = size.d_model, size.n_blocks, size.vocab
        if N != 1:
            raise ValueError(f"n_blocks={N}: this side has one layer")
        self.scale, self.smoothing, self.layers = math.sqrt(D), size.label_smoothing, N
        self.table, self.drop = nn.Embedding(V, D), nn.Dropout(size.dropout)
        self.reader = nn.LSTM(D, D, N, batch_first=True, bidirectional=True)
        self.writer = nn.LSTM(D, D, N, batch_first=True)
        self.bridge_h, self.bridge_c = nn.Linear(2 * D, D), nn.Linear(2 * D, D)
        self.key, self.mix = nn.Linear(2 * D, D, bias=False), nn.Linear(3 * D, D, bias=False)
        self.head = nn.Linear(D, V)

    def embed(self, ids: Tensor) -> Tensor:
        return self.drop(self.table(ids) * self.scale)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory, (h, c) = self.reader(self.embed(source))  # whole sentences: nothing to pack
        first = torch.tanh(self.bridge_h(torch.cat([h[0], h[1]], dim=1)))[None]
        carried = torch.tanh(self.bridge_c(torch.cat([c[0], c[1]], dim=1)))[None]
        states, _ = self.writer(self.embed(target), (first, carried))
        scores = states @ self.key(memory).transpose(1, 2)
        scores = scores.masked_fill((source == 0)[:, None, :], -math.inf)
        context = scores.softmax(-1) @ memory
        y = torch.tanh(self.mix(torch.cat([context, states], dim=-1)))
        return self.head(self.drop(y))

    loss = HandWritten.loss

    def tie(self, ours: Any) -> Iterator[Tie]:
        tokens = ours.source_embedding.tokens
        yield self.table.weight, lambda of: of(tokens.weight)
        both = ours.encoder.lstm.layers[0]
        yield from tie_lstm(self.reader, "", both.forward_layer)
        yield from tie_lstm(self.reader, "_reverse", both.backward_layer)
        yield from tie_lstm(self.writer, "", ours.decoder.lstm.layers[0])
        yield from tie_dense(self.bridge_h, ours.encoder.bridge_h.dense)
        yield from tie_dense(self.bridge_c, ours.encoder.bridge_c.dense)
        yield from tie_dense(self.key, ours.decoder.cross_attention.key)
        yield from tie_dense(self.mix, ours.decoder.combine.mix)
        yield from tie_dense(self.head, ours.head)


def tie_lstm(theirs: Any, suffix: str, ours: Any) -> Iterator[Tie]:
    """Our gates are g, i, f, o; theirs i, f, g, o. Their second bias gets the gradient that the first gets."""

    def in_their_order(x: np.ndarray) -> np.ndarray:
        g, i, f, o = np.split(x, 4, axis=-1)
        return np.concatenate([i, f, g, o], axis=-1)

    get = lambda name: getattr(theirs, f"{name}_l0{suffix}")  # noqa: E731
    get("bias_hh").data.zero_()
    yield get("weight_ih"), lambda of: in_their_order(of(ours.input_projection.weight)).T
    yield get("weight_hh"), lambda of: in_their_order(of(ours.hidden_projection.weight)).T
    yield get("bias_ih"), lambda of: in_their_order(of(ours.input_projection.bias))


MODULES = {"transformer": HandWritten, "gpt": HandWrittenGPT, "lstm": HandWrittenLSTM}


class TheirStep(Contender):
    """A training step with fused Adam.

    Parameters
    ----------
    how : {"eager", "builtin", "compiled"}
    threads : int
    mallopt : bool
        Whether the C library is told to keep freed memory, as for our side.
    """

    def __init__(self, size: Size, how: str, threads: int, mallopt: bool = True) -> None:
        torch.set_num_threads(threads)
        if mallopt:
            keep_freed_memory()
        torch.manual_seed(0)
        self.size, self.before = size, resident()
        self.module: Any = (Builtin if how == "builtin" else MODULES[size.kind])(size)
        fill(self.module, new_model(size))
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=1e-3, fused=True)
        batch = new_batch(size)
        self.ids = [torch.tensor(array) for array in (*batch.inputs, batch.targets)]
        self.loss = torch.compile(self.module.loss) if how == "compiled" else self.module.loss

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(*self.ids)
        loss.backward()
        self.optimizer.step()
        loss.item()

    def check(self) -> dict[str, float]:
        """Before any step, in float64 and without dropout: the loss, how far it and all gradients are from ours.

        What is compiled is compared as it was before: compiled anew for float64 it would be another program.
        """
        batch, loss_layer = new_batch(self.size), new_loss(self.size)
        ours = new_model(self.size, dtype=np.float64)
        module = type(self.module)(self.size).double().eval()
        fill(module, ours)
        logits, cache = ours.forward(*batch.inputs)
        loss, loss_cache = loss_layer.forward(logits, batch.targets)
        ours.backward(loss_layer.backward(1.0, loss_cache), cache)
        if hasattr(module, "positions") and isinstance(module.positions, Tensor):  # these were rounded to float32
            module.positions.copy_(torch.tensor(np.array(sinusoids(*module.positions.shape))))
        their_loss = module.loss(*self.ids)
        their_loss.backward()
        ties = list(module.tie(ours))
        worst = max(error(theirs.grad.numpy(), view(lambda p: p.grad)) for theirs, view in ties)
        compared = sum(theirs.numel() for theirs, _ in ties)
        if compared != ours.n_parameters():
            raise RuntimeError(f"{compared} numbers were compared, our model has {ours.n_parameters()}")
        return {
            "loss": float(their_loss.detach()),
            "loss_error": abs(float(their_loss.detach()) - float(loss)) / abs(float(loss)),
            "gradient_error": worst,
        }


class TheirText(Text):
    """PyTorch's side of a training from its first step to its last, with AdamW as nanoGPT sets it up.

    Parameters
    ----------
    first : {"nanoGPT's", "ours"}
        Which first weights: normal with 0.02, or those that `lm train` draws.
    """

    def __init__(self, words: tuple[str, ...], first: str) -> None:
        super().__init__(words)
        torch.set_num_threads(self.options.workers)
        keep_freed_memory()
        o, config = self.options, self.model.config
        ours = self.model if first == "ours" else GPT(config, Normal(np.random.default_rng(o.seed)))
        sizes = (config.vocab, config.d_model, config.n_heads, config.n_blocks, config.d_ff, config.dropout)
        self.module = HandWrittenGPT(Size("gpt", o.batch_size, config.max_length, *sizes))
        fill(self.module, ours)
        self.parameters = list(self.module.parameters())
        decayed = [p for p in self.parameters if p.dim() > 1]  # no bias, no gain
        others = [p for p in self.parameters if p.dim() < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": setting(o, "weight_decay")}, {"params": others, "weight_decay": 0.0}],
            betas=(setting(o, "beta1"), setting(o, "beta2")),
            eps=setting(o, "eps"),
            fused=True,
        )
        self.at = 0

    def train(self, steps: int) -> None:
        self.module.train()
        for _ in range(steps):
            batch = self.batches.batch(self.at)
            self.at += 1
            for group in self.optimizer.param_groups:
                group["lr"] = self.schedule(self.at)
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.module.loss(torch.tensor(batch.inputs[0]), torch.tensor(batch.targets))
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters, self.options.clip)
            self.optimizer.step()
            loss.item()

    @torch.inference_mode()
    def validate(self) -> float:
        self.module.eval()
        pairs = [(torch.tensor(batch.inputs[0]), torch.tensor(batch.targets)) for batch in self.windows]
        total = sum(self.module.loss(ids, targets).item() * targets.numel() for ids, targets in pairs)
        return total / sum(targets.numel() for _, targets in pairs)


class TheirDecoding(Contender):
    """Greedy decoding with keys and values kept, in buffers that are made once and are long enough."""

    def __init__(self, size: Size, batch: int, tokens: int, threads: int) -> None:
        torch.set_num_threads(threads)
        keep_freed_memory()
        self.before, self.tokens = resident(), tokens
        self.module: Any = MODULES[size.kind](size, max(tokens, size.length) + 1).eval()
        fill(self.module, new_model(size, max_length=max(tokens, size.length) + 1))
        ids, self.start = prompt(size, batch)
        self.prompt = torch.tensor(ids)

    def step(self) -> None:
        self.decode()

    @torch.inference_mode()
    def decode(self) -> list[list[int]]:
        states, ids = self.module.begin(self.prompt, self.start, self.tokens)
        chosen = []
        for at in range(self.tokens):
            ids = self.module.step(ids, states, at).argmax(dim=-1)
            chosen.append(ids)
        return torch.cat(chosen, dim=1).tolist()

    def check(self) -> dict[str, Any]:
        return {"ids": self.decode()}


def fill(module: Any, ours: Any) -> None:
    """Give their module our weights."""
    with torch.no_grad():
        for theirs, view in module.tie(ours):
            theirs.copy_(torch.tensor(np.ascontiguousarray(view(lambda p: p.value))))
