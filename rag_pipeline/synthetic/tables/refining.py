"""What any generator draws, weighed by a classifier's energy and drawn again.

A classifier that tells real from synthetic records gives each the ratio of both densities,
p / (1 - p): minus the log of it is an energy upon the generator's own, and records drawn in
proportion to it are nearer to real ones (Grover et al., NeurIPS 2019, arXiv:1906.09531, sec. 3;
Che et al., NeurIPS 2020, arXiv:2003.06060). Each record is judged by a classifier that was not
shown it.
"""

import numpy as np
import numpy.typing as npt

from rag_pipeline.synthetic.generator import TableGenerator
from rag_pipeline.synthetic.judging.tables import Features
from rag_pipeline.synthetic.tables.table import Table

CLIP = 10.0
"""The most that a record counts, so that no few of them are all that is left."""
_POOL = 5
"""Times what is asked for that are drawn."""
_FOLDS = 3


def refined(generator: TableGenerator, real: Table, count: int, *, seed: int = 0) -> Table:
    """`count` records of several times as many that `generator` draws, none of them twice.

    `real` are records that it learnt from. The same seed gives the same ones.
    """
    pool = generator.sample(_POOL * count, seed=seed)
    weights = density_ratios(real, pool, seed=seed).clip(1e-9, CLIP)
    # The largest of u^(1/w) are a sample without replacement (Efraimidis and Spirakis, 2006).
    keys = np.log(np.random.default_rng(abs(seed)).random(len(pool))) / weights
    return pool.rows(np.sort(np.argsort(-keys)[:count]))


def density_ratios(real: Table, synthetic: Table, *, seed: int = 0) -> npt.NDArray[np.float64]:
    """(synthetic records,): how many times as likely each is among real ones."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits

    features = Features(real)
    shown = np.concatenate([features.of(real), features.of(synthetic)])
    is_real = np.repeat([1, 0], [len(real), len(synthetic)])
    classifier = HistGradientBoostingClassifier(
        categorical_features=features.are_names, early_stopping=True, random_state=seed
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1):
        chances = cross_val_predict(classifier, shown, is_real, cv=folds, method="predict_proba")
    of_synthetic = chances[len(real) :, 1].clip(1e-6, 1 - 1e-6)
    found = of_synthetic / (1 - of_synthetic) * (len(synthetic) / len(real))
    return np.asarray(found, np.float64)
