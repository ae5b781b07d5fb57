"""The mirror step: it exists only if the setting `mirror` names a second store."""
