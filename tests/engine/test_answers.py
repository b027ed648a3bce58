from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transfermon.engine.answers import Answers, KeptAnswer
from transfermon.model.task import TaskKey


def key(number: int) -> TaskKey:
    return TaskKey("s", number)


def test_the_oldest_goes_where_there_is_no_room_and_is_known_to_be_gone():
    answers = Answers(most=10)
    for number in range(1, 4):
        answers.put(key(number), "fünf", whole=True)
    assert answers.get(key(1)) == KeptAnswer(text=None, whole=False)
    assert answers.get(key(2)).text == answers.get(key(3)).text == "fünf"
    assert answers.get(key(9)) == KeptAnswer(text=None, whole=True), "there was none"


def test_the_newest_stays_whatever_its_size():
    answers = Answers(most=10)
    answers.put(key(1), "x" * 100, whole=False)
    assert answers.get(key(1)) == KeptAnswer(text="x" * 100, whole=False)


def test_what_leaves_the_list_is_forgotten():
    answers = Answers(most=4)
    answers.put(key(1), "1234", whole=True)
    answers.put(key(2), "5678", whole=True)
    for number in (1, 2, 3):
        answers.drop(key(number))
        assert answers.get(key(number)) == KeptAnswer()


@given(st.lists(st.tuples(st.integers(1, 5), st.text(max_size=20), st.booleans())))
def test_an_answer_is_whole_or_said_not_to_be(puts: list[tuple[int, str, bool]]):
    answers, last = Answers(most=30), dict[int, str]()
    for number, text, drop in puts:
        if drop:
            answers.drop(key(number))
            last.pop(number, None)
        else:
            answers.put(key(number), text, whole=True)
            last[number] = text
        held = [answers.get(key(one)) for one in range(1, 6)]
        kept = [one.text.encode("utf-8", "surrogatepass") for one in held if one.text is not None]
        assert sum(map(len, kept)) <= 30 or len(kept) == 1
        for one in range(1, 6):
            found = answers.get(key(one))
            assert found.text == last.get(one) or (found.text is None and not found.whole)
