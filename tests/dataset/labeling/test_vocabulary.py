"""The short way to tokens gives what the long way gives."""

from hypothesis import given
from hypothesis import strategies as st
from marked_text import all_marked

from ltml_dataset.labeling.vocabulary import TOKEN, Vocabulary, number_value, tokens_of


@given(st.text(alphabet=st.sampled_from("abZ ,.-\n'1_/é\u00a0"), max_size=40) | st.text(max_size=40))
def test_tokens_are_those_of_the_expression(sentence: str) -> None:
    assert tokens_of(sentence) == TOKEN.findall(sentence)


def test_tokens_of_sentences() -> None:
    for line in all_marked():
        assert tokens_of(line.text) == TOKEN.findall(line.text)


def test_words_stems_capitals_numbers_and_gaps() -> None:
    vocabulary = Vocabulary({"oedema": "edema"})
    edema = vocabulary.add_word("edema")
    stem = vocabulary.add_stem("opaci")
    capitals = vocabulary.add_capitals("pe")
    code = vocabulary.encode(["Oedema", "EDEMA", "opacification", "PE", "pe", "XXXX", "___", "2.5", "whatever"])
    assert code[:3] == edema * 2 + stem
    assert code[3] == capitals
    assert code[4] == vocabulary.forms("pe")[0]
    assert code[5] == code[6]
    assert number_value(code[7]) == 2.5
    assert number_value(code[8]) is None
