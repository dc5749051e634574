"""The commands of `penumbra-train`, by topic. What is slow to import, the command imports that needs it."""
