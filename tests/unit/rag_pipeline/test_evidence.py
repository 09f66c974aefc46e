from rag_pipeline.generation.evidence import coverage


def test_coverage_weighs_long_words_more():
    wanted = {"tea", "oxidation"}
    assert coverage(wanted, {"oxidation"}) > 0.5 > coverage(wanted, {"tea"}) > 0
    assert coverage(wanted, wanted) == 1
    assert coverage(set(), wanted) == 0
