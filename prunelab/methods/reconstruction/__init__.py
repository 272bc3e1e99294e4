"""What methods share that rebuild a layer's output from fewer input channels."""
