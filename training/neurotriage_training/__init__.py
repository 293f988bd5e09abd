"""Training of the neurotriage slice classifier: data in, model.onnx with its card out."""

LABELS = ("glioma", "meningioma", "normal", "pituitary")
"""The class order of every array, file and tensor of this project."""

NORMAL = LABELS.index("normal")
CLASS_WEIGHTS = (1.0, 1.0, 1.5, 1.0)
"""Loss weights in label order; fixed by the project, normals being both few and what clears a study."""
