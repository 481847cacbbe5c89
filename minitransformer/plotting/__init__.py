"""Plotting: pictures of arrays, caches and histories; each function draws and returns, none shows a window."""

from .antecedent import antecedent_figure
from .architecture import draw, parameter_parts
from .attention import alignment_over_training, attention_grid, attention_lines, attention_map
from .attention_matrices import attention_matrices
from .beams import beam_tree
from .comparison import comparison_figures, length_curves, quality_curves, reach_curves, step_times
from .embeddings import embedding_map, embeddings_before_after
from .explorer import AttentionExplorer, Read, explore, explore_html
from .gradients import gradient_norms
from .history import accuracy_curves, loss_curves, schedule_curve, training_figure, validation_curves
from .layers import attention_layers
from .masks import mask_map
from .mechanics import (
    adam_step,
    cache_lifetimes,
    decoding_state_map,
    layer_shapes,
    masked_scores,
    residual_paths,
    teacher_forcing,
)
from .next_word import next_word
from .parameters import parameter_shares
from .positions import encoding_curves, encoding_heatmap, encoding_similarity
from .saturation import softmax_saturation
from .style import OKABE_ITO, save

__all__ = [
    "OKABE_ITO",
    "AttentionExplorer",
    "Read",
    "accuracy_curves",
    "adam_step",
    "alignment_over_training",
    "antecedent_figure",
    "attention_grid",
    "attention_layers",
    "attention_lines",
    "attention_map",
    "attention_matrices",
    "beam_tree",
    "cache_lifetimes",
    "comparison_figures",
    "decoding_state_map",
    "draw",
    "embedding_map",
    "embeddings_before_after",
    "encoding_curves",
    "encoding_heatmap",
    "encoding_similarity",
    "explore",
    "explore_html",
    "gradient_norms",
    "layer_shapes",
    "length_curves",
    "loss_curves",
    "mask_map",
    "masked_scores",
    "next_word",
    "parameter_parts",
    "parameter_shares",
    "quality_curves",
    "reach_curves",
    "residual_paths",
    "save",
    "schedule_curve",
    "softmax_saturation",
    "step_times",
    "teacher_forcing",
    "training_figure",
    "validation_curves",
]
