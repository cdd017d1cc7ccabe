"""A trained model ready for texts: `load_classifier` and `Classifier`, under the name that they had first."""

from mt_dnn.export.classifier import Classifier, load_classifier

__all__ = ["Classifier", "load_classifier"]
