"""Token ids of texts, word by word: a word that came before costs a look at a table.

Tokenizers of the BERT kind never join what white space separates, so the tokens of a text are those
of its words one after the other, and a corpus says most of its words again and again.
"""

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TokenIds: TypeAlias = npt.NDArray[np.int32]
"""What a model reads of a text, (tokens,)."""

_MOST_WORDS = 65_536
"""Words in the table before it is begun anew; together they take about 14 MB."""
_LONGEST_WORD = 64
"""Characters; longer ones, such as a sentence of Chinese, hardly come again."""
_ONLY_PYTHON_S = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
"""White space to `str.split`, but control characters to a tokenizer, which may leave them out and
join what stands around them."""


def reads_word_by_word(tokenizer: "Tokenizer") -> bool:
    """Whether no token of it reaches across white space."""
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    added = tokenizer.get_added_tokens_decoder().values()
    return (
        isinstance(tokenizer.normalizer, BertNormalizer)
        and isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        and not any(len(token.content.split()) > 1 for token in added)
    )


class WordIds:
    """The words that came last, with their ids. Many threads may use it at once."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        """`tokenizer` reads word by word and neither cuts nor fills up."""
        self._tokenizer = tokenizer
        self._known: dict[str, bytes] = {}

    def of(self, texts: Sequence[str]) -> Iterator[TokenIds]:
        """The ids of each text, without marks and without limit."""
        split = [[text] if _ONLY_PYTHON_S.search(text) else text.split() for text in texts]
        ids_of = self._table(set(chain.from_iterable(split)))
        for words in split:
            yield np.frombuffer(b"".join(map(ids_of.__getitem__, words)), np.int32)

    def _table(self, words: Set[str]) -> Mapping[str, bytes]:
        """The ids of `words` at least."""
        known = self._known
        missing = [word for word in words if word not in known]
        if not missing:
            return known
        learned = {word: self._encoded(word) for word in missing}
        table = {word: known[word] for word in words if word not in learned} | learned
        self._keep(learned)
        return table

    def _encoded(self, word: str) -> bytes:
        # Not many at once: to wake other threads takes longer than a few words do.
        return array("i", self._tokenizer.encode(word, add_special_tokens=False).ids).tobytes()

    def _keep(self, learned: Mapping[str, bytes]) -> None:
        short = ((word, ids) for word, ids in learned.items() if len(word) <= _LONGEST_WORD)
        kept = dict(islice(short, _MOST_WORDS))
        # Another table rather than an empty one: other threads may be reading this.
        if len(self._known) + len(kept) > _MOST_WORDS:
            self._known = {}
        self._known.update(kept)
