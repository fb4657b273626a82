"""Training without a framework: the backward pass of the network, and the fine-tuning that it makes possible.

Read `dense.py`, the derivative of a convolution, then `separable.py` and `cp.py`, those of the factorised forms;
`correlation.py`, the product that they share, and `pointwise.py`, what stands between convolutions. `tape.py` has the
operations of `network/esrgan.py`, each with its derivative, by layers of `layer.py` on maps of `maps.py`; `stack.py` is
how a batch lies in them, and `walk.py` goes forwards and backwards. `finetune.py` is the loop, over `crops.py`,
`loss.py` and `muon.py`, after `parts.py`, the same for each part alone in the metric of `output_metric.py`;
`length.py` says how long. `folder.py` reads what is cut into crops, `state.py` keeps the loop in a file,
`parameters.py` the network as a vector.
"""
