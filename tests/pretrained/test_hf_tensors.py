"""Files of weights: where one ends and the next begins, and what is read of a file that holds JSON."""

import importlib.util
import json
import os

import numpy as np
import pytest

from minitransformer.layers import Parameter
from minitransformer.pretrained import WeightsError, from_pretrained, hf_tensors, save_pretrained
from minitransformer.pretrained.hf_names import AS_IT_IS, TRANSPOSED, Entry, halves, names_of
from minitransformer.pretrained.hf_tensors import open_tensors, read_json, write_tensors

from .cases import made

if importlib.util.find_spec("safetensors") is None and os.environ.get("MINITRANSFORMER_REQUIRE_PARITY") != "1":
    pytest.skip("safetensors is not installed: pip install 'minitransformer[huggingface]'", allow_module_level=True)


def entries(*sizes):
    return [Entry(f"t{i}", [Parameter(np.arange(n, dtype=np.float32))], AS_IT_IS) for i, n in enumerate(sizes)]


@pytest.mark.parametrize(
    ("shard_bytes", "files"),
    [
        (36, [["t0", "t1", "t2", "t3"]]),
        (35, [["t0", "t1", "t2"], ["t3"]]),
        (20, [["t0", "t1"], ["t2", "t3"]]),  # 8 + 12 and 4 + 12 bytes
        (19, [["t0"], ["t1", "t2"], ["t3"]]),
        (1, [["t0"], ["t1"], ["t2"], ["t3"]]),
    ],
)
def test_a_file_is_filled_up_to_the_last_byte(tmp_path, shard_bytes, files):
    parts = entries(2, 3, 1, 3)
    write_tensors(tmp_path, parts, shard_bytes)
    n = len(files)
    names = [f"model-{i:05d}-of-{n:05d}.safetensors" for i in range(1, n + 1)] if n > 1 else ["model.safetensors"]
    found = {}
    for name, tensor in open_tensors(tmp_path).items():
        found.setdefault(tensor.path.name, []).append(name)
    assert {name: sorted(held) for name, held in found.items()} == dict(zip(names, files))
    assert (tmp_path / hf_tensors.INDEX).exists() == (n > 1)
    if n > 1:
        where = {tensor: file for file, held in zip(names, files) for tensor in held}
        text = (tmp_path / hf_tensors.INDEX).read_text()
        assert json.loads(text) == {"metadata": {"total_size": 36}, "weight_map": where}
        assert text.startswith('{\n  "metadata"')
        assert text.endswith("}\n")


def test_a_limit_of_bytes_is_at_least_one(tmp_path):
    with pytest.raises(ValueError, match="shard_bytes=0: must be at least 1"):
        save_pretrained(made("llama"), tmp_path / "saved", shard_bytes=0)
    save_pretrained(made("llama"), tmp_path / "saved", shard_bytes=1)
    assert len(list((tmp_path / "saved").glob("*.safetensors"))) == len(names_of(made("llama")))


def test_a_json_file_is_read_up_to_its_limit(tmp_path, monkeypatch):
    assert hf_tensors.JSON_LIMIT == 64 * 1024 * 1024
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    monkeypatch.setattr(hf_tensors, "JSON_LIMIT", 8)
    assert read_json(path) == {"a": 1}
    monkeypatch.setattr(hf_tensors, "JSON_LIMIT", 7)
    with pytest.raises(WeightsError, match=r"a\.json: has 8 bytes; allowed are 7"):
        read_json(path)


def test_a_folder_describes_no_more_blocks_than_it_has_tensors(tmp_path):
    save_pretrained(made("llama"), tmp_path / "saved")
    path = tmp_path / "saved" / "config.json"
    content, n = json.loads(path.read_text()), len(names_of(made("llama")))
    path.write_text(json.dumps(content | {"num_hidden_layers": n + 1}))
    with pytest.raises(WeightsError, match=rf"describes {n + 1} blocks; .* has {n} tensors"):
        from_pretrained(tmp_path / "saved")
    path.write_text(json.dumps(content | {"num_hidden_layers": n}))
    with pytest.raises(WeightsError, match=r"lacks model\.layers\.2"):
        from_pretrained(tmp_path / "saved")


def test_parts_of_one_tensor_lie_side_by_side():
    first, second = Parameter(np.arange(6.0).reshape(2, 3)), Parameter(10 + np.arange(2.0).reshape(2, 1))
    whole = Entry("both", [first, second], AS_IT_IS)
    assert (whole.shape, whole.n_bytes) == ((2, 4), 64)
    assert whole.theirs().tolist() == [[0, 1, 2, 10], [3, 4, 5, 11]]
    assert whole.theirs().flags.c_contiguous
    whole.fill(np.arange(8.0).reshape(2, 4))
    assert first.value.tolist() == [[0, 1, 2], [4, 5, 6]]
    assert second.value.tolist() == [[3], [7]]
    turned = Entry("turned", [first], TRANSPOSED)
    assert turned.shape == (3, 2)
    assert turned.theirs().tolist() == first.value.T.tolist()
    assert Entry("bias", [Parameter(np.zeros(3)), Parameter(np.zeros(4))], AS_IT_IS).shape == (7,)


def test_halves_of_a_head_are_pairs_of_ours():
    weight = np.arange(8.0).reshape(1, 8)  # two heads of 4 features: ours are (0 1) (2 3), theirs 0 2 | 1 3
    layout = halves(4)
    assert layout.theirs(weight).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert layout.ours(layout.theirs(weight)).tolist() == weight.tolist()
    assert layout.transposed
