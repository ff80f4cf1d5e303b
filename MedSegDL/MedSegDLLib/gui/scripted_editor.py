"""The Segment Editor, as an effect sees it."""

from __future__ import annotations

import slicer

from ..scene.editing import existing_segment


class ScriptedEditor:
    """`scene.editing.EditorPort` on a qSlicerSegmentEditorScriptedEffect."""

    def __init__(self, scriptedEffect):
        self._effect = scriptedEffect

    @property
    def volume_node(self):
        node = self._effect.parameterSetNode()
        return node.GetSourceVolumeNode() if node else None

    @property
    def segmentation_node(self):
        node = self._effect.parameterSetNode()
        return node.GetSegmentationNode() if node else None

    @property
    def selected_segment_id(self) -> str:
        node = self._effect.parameterSetNode()
        return existing_segment(node.GetSegmentationNode(), node.GetSelectedSegmentID()) if node else ""

    def select(self, segment_id: str) -> None:
        self._effect.parameterSetNode().SetSelectedSegmentID(segment_id)

    def save_state(self) -> None:
        self._effect.saveStateForUndo()

    def blank_modifier(self):
        return self._effect.defaultModifierLabelmap()

    def modify(self, segment_id: str, modifier, mode: str) -> None:
        effects = slicer.qSlicerSegmentEditorAbstractEffect
        number = {
            "add": effects.ModificationModeAdd,
            "remove": effects.ModificationModeRemove,
            "set": effects.ModificationModeSet,
        }[mode]
        self._effect.modifySegmentByLabelmap(self.segmentation_node, segment_id, modifier, number)
