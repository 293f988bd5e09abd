"""Writes figures.json: what scikit-learn says of made-up answers.

Run with scikit-learn 1.x: python figures.py > figures.json
"""

import json
import random

import sklearn
from sklearn.metrics import classification_report, confusion_matrix

LABELS = ["glioma", "meningioma", "normal", "pituitary"]


def answers(name, seed, supports, right):
    """Draw answers of the given support per label; each is right with probability `right`."""
    draw = random.Random(seed)
    truth = [label for label, n in enumerate(supports) for _ in range(n)]
    predicted = [t if draw.random() < right else draw.randrange(4) for t in truth]
    if name == "one label is never answered":
        predicted = [0 if p == 3 else p for p in predicted]
    return truth, predicted


CASES = [
    ("balanced", 1, [25, 25, 25, 25], 0.8),
    ("unbalanced", 2, [300, 7, 90, 41], 0.6),
    ("one folder is missing", 3, [10, 0, 10, 10], 0.7),
    ("one label is never answered", 4, [12, 9, 8, 11], 0.7),
    ("all right", 5, [3, 4, 5, 6], 1.1),
    ("all by chance", 6, [50, 60, 70, 80], 0.0),
    ("a single file", 7, [0, 1, 0, 0], 0.0),
]

out = {"version": sklearn.__version__, "labels": LABELS, "cases": []}
for name, seed, supports, right in CASES:
    truth, predicted = answers(name, seed, supports, right)
    report = classification_report(
        truth, predicted, labels=range(4), target_names=LABELS, output_dict=True, zero_division=0
    )
    # With every label named scikit-learn calls the accuracy "micro avg" if a label is in neither list.
    report.setdefault("accuracy", sum(t == p for t, p in zip(truth, predicted, strict=True)) / len(truth))
    report.pop("micro avg", None)
    matrix = confusion_matrix(truth, predicted, labels=range(4)).tolist()
    out["cases"].append(
        {"name": name, "truth": truth, "predicted": predicted, "report": report, "confusion": matrix}
    )
print(json.dumps(out, separators=(",", ":")).replace('{"name"', '\n{"name"'))
