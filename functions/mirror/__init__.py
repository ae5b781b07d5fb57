"""The mirror step. It exists only if the setting `mirror` names a second store."""
