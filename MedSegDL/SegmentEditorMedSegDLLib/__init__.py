import os

from .SegmentEditorEffect import SegmentEditorEffect

__all__ = ["SegmentEditorEffect", "registerEffect"]


def registerEffect():
    """Give every Segment Editor the effect "MedSeg"; to be called once, when Slicer has started."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    source = os.path.join(os.path.dirname(__file__), "SegmentEditorEffect.py")
    effect.setPythonSource(source.replace("\\", "/"))  # finds the class in this package, by the folder's name
    effect.self().register()
