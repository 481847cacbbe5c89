"""Plotting: pictures of arrays, caches and histories; each function draws and returns, none shows a window."""

from .antecedent import antecedent_figure
from .attention import attention_grid, attention_lines, attention_map
from .history import accuracy_curves, loss_curves, schedule_curve, training_figure
from .masks import mask_map
from .positions import encoding_curves, encoding_heatmap, encoding_similarity
from .style import OKABE_ITO, save

__all__ = [
    "OKABE_ITO",
    "accuracy_curves",
    "antecedent_figure",
    "attention_grid",
    "attention_lines",
    "attention_map",
    "encoding_curves",
    "encoding_heatmap",
    "encoding_similarity",
    "loss_curves",
    "mask_map",
    "save",
    "schedule_curve",
    "training_figure",
]
