"""One modality each -> tokens; what masking means; the modalities joined."""
