cdef extern from "activations.h" nogil:
    ctypedef enum fn_activation:
        FN_NO_ACTIVATION
        FN_RELU
        FN_LEAKY_RELU
        FN_SIGMOID
        FN_TANH
        FN_GELU
        FN_GELU_TANH
        FN_SILU


# activation= of a normalization: None, or the name of one; the leaky ReLU's slope is 0.01 there.
cdef fn_activation as_activation(object value) except *
