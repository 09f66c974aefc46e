"""What measures are called, and what they say, for whoever reads a report."""

from collections.abc import Mapping

MEANINGS: Mapping[str, tuple[str, str]] = {
    "records": ("Synthetic records", "With fewer, figures say too little."),
    "held_out": ("Held-out real records", "They were not learnt from; all is held against them."),
    "series": ("Synthetic series", "With fewer, figures say too little."),
    "held_out_series": ("Held-out real series", "They were not learnt from; all is held against"
                        " them."),
    "validity": ("Valid records", "As the schema and the declared constraints say."),
    "unseen": ("Unseen values", "Records with a value outside of what was learnt from, beyond"
               " those among held-out records."),
    "shape_error": ("Error of shapes", "How far columns are from the real ones, on average."),
    "shape_error_ratio": ("Error of shapes, by the floor", "By that of held-out records."),
    "trend_error": ("Error of trends", "How far pairs of columns are from the real ones."),
    "trend_error_ratio": ("Error of trends, by the floor", "By that of held-out records."),
    "length_error": ("Error of lengths", "How far the numbers of records in series are from the"
                     " real ones."),
    "step_error": ("Error of steps", "How far the times from one record to the next are from the"
                   " real ones."),
    "dynamics_error": ("Error of dynamics", "How far what follows what in a series is from the real"
                       " ones: names after names, and changes of numbers."),
    "dynamics_error_ratio": ("Error of dynamics, by the floor", "By that of held-out series."),
    "detection": ("Detection", "How well trees tell real from synthetic: .5 is not at all, 1 is"
                  " always."),
    "efficacy_ratio": ("Efficacy", "How well the target is told by what is learnt from synthetic"
                       " records, by the same of real ones."),
    "efficacy_ratio_number": ("Efficacy", "R² of what is learnt from synthetic records, by that of"
                              " real ones."),
    "coverage": ("Frequent values that are there", "Names that ten real records have."),
    "unique_ratio": ("Different records", "Their share, by that among real ones."),
    "exact_copies": ("Exact copies", "Records that one person alone had, beyond those that are so"
                     " by nature."),
    "near_copies": ("Near copies", "Records closer to one that was learnt from than 99 % of"
                    " held-out ones are."),
    "closer_to_train": ("Closer to training", "Records closer to one that was learnt from than to"
                        " any of as many held-out ones: half by nature."),
    "membership": ("Membership attack", "How well an attack tells who was learnt from: .5 is not"
                   " at all."),
    "singled_out": ("Singled out", "Records that match somebody unique in three columns, beyond"
                    " what held-out ones do."),
    "distance_ratio": ("Distance to training", "Of the closest twentieth, by that of held-out"
                       " records. A large one is no proof of privacy."),
    "precision": ("Precision of pictures", "Synthetic ones that lie among the real ones."),
    "recall": ("Recall of pictures", "Real ones that lie among the synthetic ones."),
    "fid_ratio": ("Fréchet distance, by the floor", "By that of held-out pictures."),
    "nearest_ratio": ("Distance to training", "Of the closest twentieth of pictures, by that of"
                      " held-out ones."),
    "self_bleu": ("Self-BLEU", "How much each text is like the others."),
    "copied_spans": ("Copied spans", "Texts with 13 words in a row of what must not be copied."),
}  # fmt: skip
"""By the name of the measure: what it is called, and what it says."""


def called(measure: str) -> str:
    """Its name for readers; as it is where there is none."""
    return MEANINGS.get(measure, (measure.replace("_", " ").capitalize(), ""))[0]


def meaning(measure: str) -> str:
    """What it says, in a sentence; nothing where that is not known."""
    return MEANINGS.get(measure, ("", ""))[1]
