"""Folders of Hugging Face: round trips, and what is wrong with one is said in a line that names it."""

import importlib.util
import json
import os
import shutil
import struct
import sys

import numpy as np
import pytest

from minitransformer.data import WordVocabulary
from minitransformer.layers import Unembedding
from minitransformer.pretrained import WeightsError, from_pretrained, save_pretrained
from minitransformer.pretrained import hf_folder as module

from .cases import MODELS, inputs, made

if importlib.util.find_spec("safetensors") is None and os.environ.get("MINITRANSFORMER_REQUIRE_PARITY") != "1":
    pytest.skip("safetensors is not installed: pip install 'minitransformer[huggingface]'", allow_module_level=True)

from safetensors.numpy import load_file, save_file


@pytest.mark.parametrize("shard_bytes", [1 << 30, 3000])
@pytest.mark.parametrize("name", MODELS)
def test_what_is_saved_is_read_back_bit_for_bit(tmp_path, name, shard_bytes):
    model = made(name)
    assert save_pretrained(model, tmp_path / "saved", shard_bytes=shard_bytes) == tmp_path / "saved"
    again = from_pretrained(tmp_path / "saved")
    assert (type(again), again.config) == (type(model), model.config)
    for (path, parameter), (_, wanted) in zip(again.named_parameters(), model.named_parameters()):
        assert parameter.value.dtype == np.float32
        np.testing.assert_array_equal(parameter.value, wanted.value, path)
        np.testing.assert_array_equal(parameter.grad, np.zeros_like(wanted.value))
    np.testing.assert_array_equal(again(*inputs(again)), model(*inputs(model)))
    files = sorted(path.name for path in (tmp_path / "saved").iterdir())
    assert ("model.safetensors" in files) == (shard_bytes > 3000)
    assert os.listdir(tmp_path) == ["saved"]


def test_float64_is_kept_where_it_is_asked_for(tmp_path):
    model = made("llama", np.float64)
    save_pretrained(model, tmp_path / "saved")
    again = from_pretrained(tmp_path / "saved", "float64")
    np.testing.assert_array_equal(again(*inputs(again)), model(*inputs(model)))
    assert {parameter.dtype for parameter in from_pretrained(tmp_path / "saved").parameters()} == {np.dtype(np.float32)}
    with pytest.raises(ValueError, match="dtype=float16: must be float32 or float64"):
        from_pretrained(tmp_path / "saved", np.float16)


def test_a_tied_head_stays_tied_and_a_head_of_its_own_stays_its_own(tmp_path):
    for name, tied in (("t5", True), ("t5 v1.1", False), ("gpt2", True), ("llama", False), ("llama, tied", True)):
        save_pretrained(made(name), tmp_path / name)
        model = from_pretrained(tmp_path / name)
        assert isinstance(model.head, Unembedding) == tied, name
        assert ("lm_head.weight" in load_file(tmp_path / name / "model.safetensors")) != tied, name
        if tied:
            assert any(model.head.weight is parameter for parameter in model.parameters())
    assert from_pretrained(tmp_path / "t5").head.scale == 14**-0.5


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    model = made("gpt2")
    save_pretrained(model, tmp_path / "saved")
    path = tmp_path / "saved" / "model.safetensors"
    tensors = load_file(path)
    header, data, at = {}, b"", 0
    for name, tensor in tensors.items():
        upper = (tensor.view(np.uint32) >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": tensor.shape, "data_offsets": [at, at + len(upper)]}
        data, at = data + upper, at + len(upper)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    cut = model.embedding.tokens.weight.value.view(np.uint32) & 0xFFFF0000
    for dtype in (np.float32, np.float64):
        again = from_pretrained(tmp_path / "saved", dtype).embedding.tokens.weight.value
        assert again.dtype == dtype
        np.testing.assert_array_equal(again, cut.view(np.float32))


def test_old_files_that_repeat_a_tied_table_or_keep_a_mask_are_read(tmp_path):
    for name, more in {
        "t5": ["lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"],
        "gpt2": ["lm_head.weight"],
        "llama, tied": ["lm_head.weight"],
    }.items():
        model = made(name)
        save_pretrained(model, tmp_path / name)
        path = tmp_path / name / "model.safetensors"
        tensors = load_file(path)
        table = next(tensor for name, tensor in tensors.items() if tensor.shape[0] == 23)
        tensors |= dict.fromkeys(more, table)
        if name == "gpt2":
            tensors = {key.removeprefix("transformer."): tensor for key, tensor in tensors.items()}
            tensors |= {"h.1.attn.bias": np.tri(19, dtype=np.float32)[None, None]}
        if name == "llama, tied":
            tensors |= {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(3, np.float32)}
        save_file(tensors, path)
        again = from_pretrained(tmp_path / name)
        np.testing.assert_array_equal(again(*inputs(again)), model(*inputs(model)))
        tensors["lm_head.weight"] = table + 1
        save_file(tensors, path)
        with pytest.raises(WeightsError, match=r"lm_head.weight is not .*, though config.json says that they are tied"):
            from_pretrained(tmp_path / name)


def test_a_head_of_its_own_that_release_5_of_transformers_calls_tied_is_read(tmp_path):
    model = made("t5 v1.1")
    save_pretrained(model, tmp_path / "saved")
    path = tmp_path / "saved" / "config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"tie_word_embeddings": True, "scale_decoder_outputs": False})
    )
    again = from_pretrained(tmp_path / "saved")
    np.testing.assert_array_equal(again(*inputs(again)), model(*inputs(model)))


# ---- what is wrong is named


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    for name in MODELS:
        save_pretrained(made(name), folder / name)
    save_pretrained(made("llama"), folder / "sharded", shard_bytes=3000)
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    def copy(name):
        shutil.copytree(saved / name, tmp_path / name)
        return tmp_path / name

    return copy


def refused(folder, *words):
    with pytest.raises(WeightsError) as caught:
        from_pretrained(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    for word in (str(folder), *words):
        assert word in message, message


def with_tensors(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    return folder


def test_a_missing_tensor(copied):
    name = "model.layers.1.mlp.up_proj.weight"
    refused(with_tensors(copied("llama"), lambda tensors: tensors.pop(name)), f"lacks {name}")


def test_many_missing_tensors_are_counted(copied):
    def change(tensors):
        for name in [name for name in tensors if ".h.1." in name]:
            del tensors[name]

    refused(with_tensors(copied("gpt2"), change), "lacks transformer.h.1.", "and 8 more")


def test_an_extra_tensor(copied):
    folder = with_tensors(copied("t5"), lambda tensors: tensors.update({"encoder.wings\n": np.zeros(3, np.float32)}))
    refused(folder, r"has encoder.wings\n, which the model of its config.json has not")


def test_a_misshapen_tensor(copied):
    name = "transformer.h.0.mlp.c_fc.weight"
    folder = with_tensors(copied("gpt2"), lambda tensors: tensors.update({name: tensors[name].T.copy()}))
    refused(folder, f"{name} has shape (60, 15): must be (15, 60) by config.json")


def test_a_tensor_of_whole_numbers(copied):
    name = "model.norm.weight"
    folder = with_tensors(copied("llama"), lambda tensors: tensors.update({name: np.ones(36, np.int32)}))
    refused(folder, f"{name} has dtype I32: must be one of F64, F32, F16, BF16")


def test_files_that_are_cut_short_at_any_byte(copied):
    folder = copied("gpt2")
    for file in ("model.safetensors", "config.json"):
        whole = (folder / file).read_bytes()
        for length in {0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 3}:
            (folder / file).write_bytes(whole[:length])
            refused(folder, file)
        (folder / file).write_bytes(whole)
    from_pretrained(folder)
    with open(folder / "model.safetensors", "ab") as handle:
        handle.write(b"more")
    refused(folder, "model.safetensors: is no whole safetensors file")


def test_missing_files_and_folders(copied, tmp_path):
    refused(tmp_path / "none", "is no folder")
    folder = copied("gpt2")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, "has neither model.safetensors nor model.safetensors.index.json", "pytorch_model.bin is a pickle")
    (folder / "config.json").unlink()
    refused(folder, "config.json: cannot be read: No such file")


def test_shards_that_do_not_fit_their_index(copied):
    folder = copied("sharded")
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    where = content["weight_map"]
    shards = sorted(set(where.values()))
    assert len(shards) > 2
    first, last = where["model.embed_tokens.weight"], where["model.layers.1.mlp.down_proj.weight"]
    assert (first, last) == (shards[0], shards[-1])

    def changed(**entries):
        index.write_text(json.dumps({**content, "weight_map": {**where, **entries}}))
        return folder

    wrong = {"model.embed_tokens.weight": last}
    refused(changed(**wrong), "model.embed_tokens.weight")
    refused(changed(**{"model.embed_tokens.weight": "../other.safetensors"}), "'../other.safetensors'", "beside it")
    refused(changed(**{"model.wings": first}), "lacks model.wings")
    index.write_text(json.dumps({"weight_map": [1]}))
    refused(folder, "weight_map is [1]")
    index.write_text(json.dumps(content))
    from_pretrained(folder)
    (folder / last).unlink()
    refused(folder, last, "No such file")


CONFIGS = {
    "gpt2": [
        ({"model_type": "bert"}, "model_type is 'bert': must be 't5' or 'gpt2' or 'llama'"),
        ({"n_embd": None}, "n_embd is None: must be a whole number"),
        ({"n_embd": 15.0}, "n_embd is 15.0: must be a whole number"),
        ({"n_head": True}, "n_head is True: must be a whole number"),
        ({"vocab_size": 10**30}, "config.json: describes no model"),
        ({"n_positions": 10**18}, "config.json: describes no model"),
        ({"n_head": 4}, "n_heads=4: must divide d_model=15"),
        ({"n_layer": 10**9}, "describes 1,000,000,000 blocks; "),
        ({"n_layer": 3}, "lacks transformer.h.2."),
        ({"n_layer": 1}, "has transformer.h.1."),
        ({"vocab_size": 24}, "transformer.wte.weight has shape (23, 15): must be (24, 15)"),
        ({"activation_function": "relu"}, "activation_function is 'relu': must be 'gelu_new'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True: must be False"),
        ({"layer_norm_epsilon": 0}, "eps=0: must be a finite number above 0"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is {'bits': 4}: must be None"),
        ({"tie_word_embeddings": False}, "lacks lm_head.weight"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings is 'yes': must be True or False"),
    ],
    "t5": [
        ({"feed_forward_proj": "gated-silu"}, "feed_forward_proj is 'gated-silu': must be 'relu' or 'gated-gelu'"),
        ({"feed_forward_proj": "gated-gelu"}, "lacks encoder.block.0.layer.1.DenseReluDense.wi_0.weight"),
        ({"is_encoder_decoder": False}, "is_encoder_decoder is False: must be True"),
        ({"tie_word_embeddings": False, "scale_decoder_outputs": True}, "scale_decoder_outputs is True"),
        ({"relative_attention_num_buckets": 2}, "n_buckets=2: must be an integer of at least 4"),
    ],
    "llama": [
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_type of rope_scaling is 'llama3'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type of rope_scaling is 'linear'"),
        ({"rope_parameters": {"rope_type": "default", "factor": 2.0}}, "rope_parameters has factor"),
        ({"rope_scaling": 3}, "rope_scaling is 3: must be null or an object"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu': must be 'silu'"),
        ({"attention_bias": True}, "attention_bias is True: must be False"),
        ({"mlp_bias": True}, "mlp_bias is True: must be False"),
        ({"head_dim": 8}, "head_dim is 8: must be hidden_size / num_attention_heads = 36 / 6"),
        ({"head_dim": "6"}, "head_dim is '6'"),
        ({"num_key_value_heads": 4}, "n_kv_heads=4: must divide n_heads=6"),
        ({"sliding_window": 4096}, "sliding_window is 4096: must be None"),
    ],
}


@pytest.mark.parametrize(("name", "change", "words"), [(name, *row) for name, rows in CONFIGS.items() for row in rows])
def test_a_key_of_the_configuration_that_is_not_ours_is_named(copied, name, change, words):
    folder = copied(name)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    refused(folder, words)


@pytest.mark.parametrize(("name", "key"), [("gpt2", "n_positions"), ("t5", "d_kv"), ("llama", "hidden_size")])
def test_a_size_that_the_configuration_lacks_is_named(copied, name, key):
    folder = copied(name)
    path = folder / "config.json"
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))
    refused(folder, f"lacks {key}")


@pytest.mark.parametrize("content", ["[]", "3", "{", '{"model_type": []}', "\ud800".encode("utf-8", "surrogatepass")])
def test_a_configuration_that_is_none_is_named(copied, content):
    folder = copied("gpt2")
    (folder / "config.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(folder, "config.json")


# ---- whole or not at all


def test_a_save_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_json", full)
    with pytest.raises(WeightsError, match="cannot be written: No space left on device"):
        save_pretrained(made("gpt2"), tmp_path / "saved")
    assert os.listdir(tmp_path) == []


def test_an_interrupted_save_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_pretrained(made("gpt2"), tmp_path / "saved")
    assert os.listdir(tmp_path) == []


def test_what_a_killed_save_left_is_removed_when_it_is_old(tmp_path):
    old, young = tmp_path / ".saved.0123456789abcdef.partial", tmp_path / ".saved.fedcba9876543210.partial"
    for left in (old, young):
        left.mkdir()
        (left / "model.safetensors").write_bytes(b"half")
    os.utime(old, (1, 1))
    save_pretrained(made("gpt2"), tmp_path / "saved")
    assert sorted(os.listdir(tmp_path)) == [young.name, "saved"]


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    import safetensors.numpy

    def full(*arguments, **options):
        raise safetensors.SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(WeightsError, match=r"model\.safetensors: cannot be written: I/O error: No space left"):
        save_pretrained(made("gpt2"), tmp_path / "saved")
    assert os.listdir(tmp_path) == []


def test_a_vocabulary_of_words_is_no_tokenizer_json(tmp_path):
    with pytest.raises(TypeError, match=r"tokenizer=WordVocabulary.*: must be a PretrainedTokenizer or"):
        save_pretrained(made("gpt2"), tmp_path / "saved", WordVocabulary.build(["a b"]))


def test_a_folder_that_holds_something_is_left_alone_and_an_empty_one_is_filled(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("keep")
    with pytest.raises(WeightsError, match="holds something already"):
        save_pretrained(made("gpt2"), tmp_path / "mine")
    assert os.listdir(tmp_path / "mine") == ["notes"]
    (tmp_path / "empty").mkdir()
    save_pretrained(made("gpt2"), tmp_path / "empty")
    from_pretrained(tmp_path / "empty")


def test_a_missing_library_is_one_clear_line(tmp_path, monkeypatch, saved):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    refused_line = r"safetensors is not installed.*pip install 'minitransformer\[huggingface\]'"
    with pytest.raises(WeightsError, match=refused_line):
        from_pretrained(saved / "gpt2")
