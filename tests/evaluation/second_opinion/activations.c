/* Section 7: activations, each one formula in float64, rounded once. */

#include <math.h>
#include <string.h>

#include "opinion.h"

static double unit(double x) { return x <= 0 ? 0.0 : x >= 1 ? 1.0 : x; }

static double gelu(double x) { return (0.5 * x) * (1.0 + erf_1(x * 0x1.6a09e667f3bcdp-1)); }

static double gelu_tanh(double x)
{
    return (0.5 * x) * (1.0 + tanh_1(0x1.9884533d43651p-1 * (x + 0.044715 * ((x * x) * x))));
}

/* Those of one element and two parameters; also of recurrent layers. */
double activation(const char *name, double x, double alpha, double beta, enum type type)
{
    double y = NAN;
    if (strcmp(name, "Elu") == 0)
        y = x >= 0 ? x : alpha * expm1_1(x);
    else if (strcmp(name, "Selu") == 0)
        y = beta * (x > 0 ? x : alpha * expm1_1(x));
    else if (strcmp(name, "Celu") == 0)
        y = x >= 0 ? x : alpha * expm1_1(x / alpha);
    else if (strcmp(name, "HardSigmoid") == 0)
        y = unit(alpha * x + beta);
    else if (strcmp(name, "HardSwish") == 0)
        y = x * unit(x / 6.0 + 0.5);
    else if (strcmp(name, "Mish") == 0)
        y = x * tanh_1(softplus_1(x));
    else if (strcmp(name, "Softsign") == 0)
        y = x / (1.0 + fabs(x));
    else if (strcmp(name, "Swish") == 0)
        y = x * sigmoid_1(alpha * x);
    else if (strcmp(name, "ThresholdedRelu") == 0)
        y = x > alpha ? x : 0.0;
    else if (strcmp(name, "LeakyRelu") == 0)
        y = x < 0 ? alpha * x : x;
    else if (strcmp(name, "Affine") == 0)
        y = alpha * x + beta;
    else if (strcmp(name, "ScaledTanh") == 0)
        y = alpha * tanh_1(beta * x);
    else if (strcmp(name, "Sigmoid") == 0)
        y = sigmoid_1(x);
    else if (strcmp(name, "Tanh") == 0)
        y = tanh_1(x);
    else if (strcmp(name, "Softplus") == 0)
        y = softplus_1(x);
    else if (strcmp(name, "Relu") == 0)
        y = x <= 0 ? 0.0 : x;
    else
        give_up("no such activation", name);
    return step(y, type);
}

static double shrink(double x, double bias, double lambd)
{
    return x < -lambd ? x + bias : x > lambd ? x - bias : 0.0;
}

int activations(struct node *node)
{
    static const struct { const char *name, *second; double alpha, beta; } KNOWN[] = {
        {"Elu", "", 1.0, 0.0}, {"Selu", "gamma", 1.67326319217681884765625, 1.05070102214813232421875},
        {"Celu", "", 1.0, 0.0}, {"HardSigmoid", "beta", 0.2, 0.5}, {"HardSwish", "", 0.0, 0.0},
        {"Mish", "", 0.0, 0.0}, {"Softsign", "", 0.0, 0.0}, {"Swish", "", 1.0, 0.0},
        {"ThresholdedRelu", "", 1.0, 0.0}, {"LeakyRelu", "", 0.01, 0.0}};
    const int count = sizeof KNOWN / sizeof *KNOWN;
    const struct tensor *x = node->input[0];
    int known = 0, is_gelu = strcmp(node->operator, "Gelu") == 0, is_shrink = strcmp(node->operator, "Shrink") == 0;
    struct tensor *y;
    while (known < count && strcmp(KNOWN[known].name, node->operator) != 0)
        known++;
    if (known == count && !is_gelu && !is_shrink)
        return 0;
    y = like(x, x->type);
    for (long i = 0; i < x->count; i++)
        if (is_shrink && !x->real)
            y->whole[i] = saturated(shrink(carrier_value(x, i), real_of(node, "bias", 0.0),
                                           real_of(node, "lambd", 0.5)), x->type);
        else if (is_shrink)
            y->real[i] = step(shrink(x->real[i], real_of(node, "bias", 0.0), real_of(node, "lambd", 0.5)), x->type);
        else if (is_gelu)
            y->real[i] = step(strcmp(word_of(node, "approximate", "none"), "tanh") == 0 ? gelu_tanh(x->real[i])
                                                                                       : gelu(x->real[i]), x->type);
        else
            y->real[i] = activation(node->operator, x->real[i], real_of(node, "alpha", KNOWN[known].alpha),
                                    real_of(node, KNOWN[known].second, KNOWN[known].beta), x->type);
    put(node, y);
    return 1;
}
