"""The windows: Qt only, decisions are in `interaction`."""
