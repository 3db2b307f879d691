"""What the engines share that have a model or a reference: above all its bad inputs.

:mod:`.labels` judges the labels of a reference, :mod:`.genes` whether a model fits the genes of an
object, :mod:`.values` what is read of its expression; :mod:`.answers` has what they answer alike.
"""
