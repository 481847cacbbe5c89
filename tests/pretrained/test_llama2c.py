"""llama2.c's files: models, tokenizers, and what a damaged one is told."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from minitransformer.cli import main
from minitransformer.layers import Glorot
from minitransformer.models import Llama, LlamaConfig, TiedLlama
from minitransformer.pretrained import Llama2cTokenizer, WeightsError, load_language_model, read_llama2c

from .cases import llama2c, llama2c_tokenizer, pieces

SIZES = {"vocab": 23, "max_length": 7, "d_model": 12, "n_heads": 6, "d_ff": 5, "n_blocks": 3}


def model_of(model_class, n_kv_heads=2):
    rng = np.random.default_rng(4)
    model = model_class(LlamaConfig(**SIZES, n_kv_heads=n_kv_heads), Glorot(rng))
    for parameter in model.parameters():
        parameter.value = rng.standard_normal(parameter.shape).astype(np.float32)
    return model


@pytest.mark.parametrize("n_kv_heads", [None, 3, 1])
@pytest.mark.parametrize("model_class", [Llama, TiedLlama])
def test_a_model_is_read_bit_for_bit(tmp_path, model_class, n_kv_heads):
    model = model_of(model_class, n_kv_heads)
    (tmp_path / "model.bin").write_bytes(llama2c(model))
    for dtype in (np.float32, np.float64):
        again = read_llama2c(tmp_path / "model.bin", dtype)
        assert (type(again), again.config) == (model_class, model.config)
        for parameter, wanted in zip(again.parameters(), model.parameters()):
            assert parameter.value.dtype == dtype
            np.testing.assert_array_equal(parameter.value, wanted.value)
            parameter.value[...] = 0  # it is no view of the file


def test_a_file_that_is_cut_short_too_long_or_something_else_is_named(tmp_path):
    whole, path = llama2c(model_of(TiedLlama)), tmp_path / "model.bin"

    def refused(content, words):
        path.write_bytes(content)
        with pytest.raises(WeightsError) as caught:
            read_llama2c(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert words in str(caught.value)
        assert len(str(caught.value)) < 300

    for length in (0, 27, 28, 29, 1000, len(whole) - 1):
        refused(whole[:length], "is no whole model" if length >= 28 else f"it has {length} bytes")
    refused(whole + b"\0", "is no whole model")
    refused(struct.pack("<7i", 0x616B3432, 1, 3, 4, 5, 6, 7) + whole, "of version 1 of llama2.c's format")
    refused(struct.pack("<7i", 12, 5, -3, 6, 2, 23, 7) + whole[28:], "its header says (12, 5, -3, 6, 2, 23, 7)")
    refused(struct.pack("<7i", 12, 5, 10**9, 6, 2, 23, 7) + whole[28:], "its header wants 2,352,000,001,236")
    refused(struct.pack("<7i", 12, 5, 3, 5, 2, 23, 7) + whole[28:], "n_heads=5: must divide d_model=12")
    refused(struct.pack("<7i", *[2**31 - 1] * 7), "is no model of llama2.c")
    refused(bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)), "is no model of llama2.c")
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        read_llama2c(tmp_path / "none.bin")


def test_positions_of_another_base_are_refused(tmp_path):
    content = bytearray(llama2c(model_of(TiedLlama)))
    content[-7 * 4 : -6 * 4] = struct.pack("<f", 0.5)  # among the sines, with which a tied file ends
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(WeightsError, match="its positions are not those of base 10000"):
        read_llama2c(tmp_path / "model.bin")


LEARNED = (b" t", b"he", b" the", b" c", b"at", b" cat", b" ", b"t", b"h", b"e", b"c", b"a", "é".encode())


def tokenizer():
    return Llama2cTokenizer(*zip(*pieces(*LEARNED)))


def names(ids):
    return [tokenizer().pieces[i] for i in ids[1:]]


def test_pieces_are_joined_the_best_first():
    assert tokenizer().encode("the cat")[0] == 1
    assert names(tokenizer().encode("the cat")) == [b" the", b" cat"]
    assert names(tokenizer().encode("hat")) == [b" ", b"h", b"at"]
    assert tokenizer().encode("") == [1]


def test_of_equal_pairs_the_left_one_is_joined_first():
    doubled = Llama2cTokenizer(*zip(*pieces(b"aa", b"a", b" ")))
    assert [doubled.pieces[i] for i in doubled.encode("aaa")] == [b"\n<s>\n", b" ", b"aa", b"a"]


def test_a_character_without_a_piece_is_its_bytes():
    assert tokenizer().encode("é☕") == [1, *tokenizer().encode("é")[1:], *(3 + byte for byte in "☕".encode())]
    assert tokenizer().encode("\n")[-1] == 3 + 0x0A


@pytest.mark.parametrize("text", ["the cat", " the cat", "", "a\n\nb", "thé ☕ 😀", "<0x0A>", "  two", "\x00\x7f"])
def test_decoding_is_the_inverse_of_encoding(text):
    assert tokenizer().decode(tokenizer().encode(text)) == text


def test_ids_without_a_beginning_keep_their_blank_and_half_a_character_is_marked():
    the = tokenizer().encode("the")[1:]
    assert tokenizer().decode(the) == " the"
    assert tokenizer().decode([1, 3 + 0xE2, 3 + 0x98]) == "\ufffd"
    assert tokenizer().decode([1, *the, 2]) == "the"


def test_a_tokenizer_is_read_and_one_with_another_number_of_tokens_is_named(tmp_path):
    path = tmp_path / "tok.bin"
    content = llama2c_tokenizer(pieces(*LEARNED))
    path.write_bytes(content)
    n = 259 + len(LEARNED)
    read = Llama2cTokenizer.read(path, n)
    assert (read.pieces, read.scores) == (tokenizer().pieces, tokenizer().scores)
    with pytest.raises(WeightsError, match=rf"is no tokenizer of llama2.c with {n + 1} tokens: it ends in number {n}"):
        Llama2cTokenizer.read(path, n + 1)
    with pytest.raises(WeightsError, match=rf"is no tokenizer of llama2.c with {n - 1} tokens: 10 bytes are left"):
        Llama2cTokenizer.read(path, n - 1)
    for length in (0, 3, 4, 11, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match="is no tokenizer of"):
            Llama2cTokenizer.read(path, n)
    path.write_bytes(content[:4] + struct.pack("<f", np.nan) + content[8:])
    with pytest.raises(WeightsError, match="a score is not finite"):
        Llama2cTokenizer.read(path, n)
    with pytest.raises(WeightsError, match="No such file"):
        Llama2cTokenizer.read(tmp_path / "none", n)


# ---- a trained one


@pytest.fixture(scope="module")
def stories():
    """The folder of stories260K: its model, its tokenizer, and what llama2.c says that they write."""
    data = Path(os.environ.get("MINITRANSFORMER_DATA", Path(__file__).parents[3] / "shared" / "data"))
    folder = data.parent / "weights" / "stories260K"
    if not (folder / "stories260K.bin").exists():
        pytest.skip(
            f"{folder} is absent; the variable MINITRANSFORMER_DATA may name the folder `data` beside `weights`"
        )
    return folder


@pytest.fixture(scope="module")
def documented(stories):
    """What run.c writes at temperature 0, from its documentation."""
    return (stories / "stories260K.md").read_text().split("-t 0.0\n")[1].split("\n```")[0]


def test_stories260k_writes_the_documented_story_character_for_character(stories, documented):
    story = load_language_model(stories / "stories260K.bin").generate("", max_new_tokens=256)
    assert story == documented
    assert len(story) == 565


def test_the_command_writes_it_too(stories, documented, capsys):
    words = ["--greedy", "--max-new-tokens", "256"]
    assert main(["lm", "generate", str(stories / "stories260K.bin"), *words]) == 0
    assert capsys.readouterr().out == documented + "\n"


def test_a_story_that_is_begun_goes_on_as_documented(stories, documented):
    model = load_language_model(stories / "stories260K.bin", stories / "tok512.bin", np.float64)
    for begun in (
        "Once upon a time",
        "Once upon a time, there was a little girl named Lily. She loved to play outside",
    ):
        assert documented.startswith(begun + model.generate(begun, max_new_tokens=40))


def test_its_tokenizer_takes_a_text_apart_and_back(stories, documented):
    read = Llama2cTokenizer.read(stories / "tok512.bin", 512)
    assert read.decode(read.encode(documented)) == documented
    ids = list(load_language_model(stories / "stories260K.bin").stream_ids("", max_new_tokens=256))
    assert read.encode(documented[:200])[1:50] == ids[:49]


def test_it_can_be_saved_as_a_folder_that_writes_the_same_story(stories, documented, tmp_path, capsys):
    pytest.importorskip("safetensors")
    pytest.importorskip("tokenizers")
    assert main(["lm", "export", str(stories / "stories260K.bin"), str(tmp_path / "stories")]) == 0
    capsys.readouterr()
    assert main(["lm", "generate", str(tmp_path / "stories"), "--greedy", "--max-new-tokens", "256"]) == 0
    assert capsys.readouterr().out == documented + "\n"
    theirs = load_language_model(tmp_path / "stories")
    ours = Llama2cTokenizer.read(stories / "tok512.bin", 512)
    for text in (documented, "Zoë's  naïve café: 10 € ☕\n\tend", " x"):
        assert theirs.prompt_ids(text) == ours.encode(text)


def test_a_piece_in_the_place_of_a_byte_is_a_byte_only_by_its_name():
    tokenizer = Llama2cTokenizer([b"<unk>", b"<s>", b"</s>", b"a", b"<0x01>", b"\xc3", b"<0x41>"], [0.0] * 7)
    assert tokenizer.decode([3, 6]) == "a<0x41>"
    assert tokenizer.decode([4]) == "\x01"


@pytest.mark.parametrize("place", range(7))
def test_a_size_of_the_header_is_at_least_one(tmp_path, place):
    whole = llama2c(model_of(TiedLlama))
    sizes = list(struct.unpack("<7i", whole[:28]))
    sizes[place] = 0
    (tmp_path / "model.bin").write_bytes(struct.pack("<7i", *sizes) + whole[28:])
    with pytest.raises(WeightsError) as caught:
        read_llama2c(tmp_path / "model.bin")
    said = f"is no model of llama2.c: its header says {tuple(sizes)}"
    assert str(caught.value) == f"{tmp_path / 'model.bin'}: {said}"


def test_positions_may_differ_by_a_hundredth_as_16_bits_do(tmp_path):
    whole = llama2c(model_of(TiedLlama))
    (sine,) = struct.unpack("<f", whole[-7 * 4 : -6 * 4])
    for off, right in ((0.009, True), (-0.009, True), (0.011, False), (-0.011, False)):
        content = bytearray(whole)
        content[-7 * 4 : -6 * 4] = struct.pack("<f", sine + off)
        (tmp_path / "model.bin").write_bytes(content)
        if right:
            read_llama2c(tmp_path / "model.bin")
        else:
            with pytest.raises(WeightsError, match="its positions are not those of base 10000"):
                read_llama2c(tmp_path / "model.bin")


def test_a_model_of_one_of_everything_is_read(tmp_path):
    model = TiedLlama(LlamaConfig(1, 1, 2, 1, None, 1, 1), Glorot(np.random.default_rng(0)))
    (tmp_path / "model.bin").write_bytes(llama2c(model))
    assert read_llama2c(tmp_path / "model.bin").config == model.config


def test_the_first_and_the_last_byte_are_bytes():
    doubled = Llama2cTokenizer(*zip(*pieces(b"a", b" ", b"<0x00>")))
    assert doubled.decode([3, 258]) == "\x00\ufffd"
    assert doubled.decode([2, 0, 259]) == "<unk>a"
    assert doubled.decode([1, 260, 260]) == " "
    assert doubled.decode([1, 259, 260]) == "a "
    assert len(doubled) == 262
