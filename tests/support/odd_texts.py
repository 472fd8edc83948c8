"""Texts that readers have to cope with, for Hypothesis."""

from hypothesis import strategies as st

ENV = st.lists(
    st.sampled_from(
        ["A", "=", "export ", "'", '"', "\\", "\n", "\r\n", "#", "${A", "${A:-", "}", "$$", " ", "\0", "é", "\\0777"]
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)
