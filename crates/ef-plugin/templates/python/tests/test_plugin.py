import unittest
from types import SimpleNamespace

from {{module}} import Mentions


def judged(judge, reference, text):
    item = SimpleNamespace(item_id="1", input="?", reference_output=reference, metadata={})
    return judge.judge(item, SimpleNamespace(output=text, metadata={}))


class MentionsTest(unittest.TestCase):
    def test_an_output_that_mentions_the_reference_passes(self):
        self.assertIs(judged(Mentions(), "Paris", "It is PARIS.")["score"], True)
        self.assertIs(judged(Mentions(), "Paris", "I do not know.")["score"], False)

    def test_case_counts_where_the_config_says_so(self):
        self.assertIs(judged(Mentions(ignore_case=False), "Paris", "It is PARIS.")["score"], False)

    def test_without_a_reference_there_is_no_score(self):
        self.assertIsNone(judged(Mentions(), None, "It is Paris."))


if __name__ == "__main__":
    unittest.main()
