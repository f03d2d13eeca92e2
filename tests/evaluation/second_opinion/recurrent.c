/* Section 10.9: RNN, GRU and LSTM. */

#include <math.h>
#include <string.h>

#include "opinion.h"

struct layer {
    const struct node *node;
    enum type type;
    long steps, batch, inputs, hidden, gates;
    double limit; /* of the activations' arguments; negative for none */
    const double *w, *r, *bias, *peephole;
    const char *names[3];
    double alpha[3], beta[3];
};

static double *turned(const double *x, long rows, long columns)
{
    double *y = claim(rows * columns, sizeof *y);
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++)
            y[j * rows + i] = x[i * columns + j];
    return y;
}

static double act(const struct layer *l, int which, double x)
{
    if (l->limit >= 0)
        x = smaller(larger(x, -l->limit), l->limit);
    return activation(l->names[which], x, l->alpha[which], l->beta[which], l->type);
}

static double add(const struct layer *l, double a, double b) { return step(a + b, l->type); }
static double mul(const struct layer *l, double a, double b) { return step(a * b, l->type); }

/* Gate g of the two halves of the bias, added. */
static double bias_of(const struct layer *l, long gate, long unit)
{
    long at = gate * l->hidden + unit;
    return l->bias ? add(l, l->bias[at], l->bias[l->gates * l->hidden + at]) : 0.0;
}

static double own_bias(const struct layer *l, long gate, long unit, int of_state)
{
    return l->bias ? l->bias[(of_state ? l->gates * l->hidden : 0) + gate * l->hidden + unit] : 0.0;
}

/* One row: x and h times the weights are given; the state is replaced. */
static void simple_step(const struct layer *l, const double *xw, const double *hr, double *h)
{
    for (long u = 0; u < l->hidden; u++)
        h[u] = act(l, 0, add(l, add(l, xw[u], hr[u]), bias_of(l, 0, u)));
}

static void gated_step(const struct layer *l, const double *xw, const double *hr, double *h)
{
    long n = l->hidden;
    double *z = claim(n, sizeof *z), *r = claim(n, sizeof *z), *kept = claim(n, sizeof *z), *product;
    int reset_after = (int)number_of(l->node, "linear_before_reset", 0);
    for (long u = 0; u < n; u++) {
        z[u] = act(l, 0, add(l, add(l, xw[u], hr[u]), bias_of(l, 0, u)));
        r[u] = act(l, 0, add(l, add(l, xw[n + u], hr[n + u]), bias_of(l, 1, u)));
        kept[u] = mul(l, r[u], h[u]);
    }
    product = multiplied(kept, turned(l->r + 2 * n * n, n, n), 1, n, n, l->type);
    for (long u = 0; u < n; u++) {
        double fresh, sum = xw[2 * n + u];
        if (reset_after) {
            sum = add(l, sum, mul(l, r[u], add(l, hr[2 * n + u], own_bias(l, 2, u, 1))));
            sum = add(l, sum, own_bias(l, 2, u, 0));
        } else
            sum = add(l, add(l, sum, product[u]), bias_of(l, 2, u));
        fresh = act(l, 1, sum);
        h[u] = add(l, mul(l, step(1.0 - z[u], l->type), fresh), mul(l, z[u], h[u]));
    }
}

static double peeped(const struct layer *l, double s, long gate, long u, double c)
{
    return l->peephole ? add(l, s, mul(l, l->peephole[gate * l->hidden + u], c)) : s;
}

static void memory_step(const struct layer *l, const double *xw, const double *hr, double *h, double *c)
{
    long n = l->hidden;
    for (long u = 0; u < n; u++) {
        double s[4], i, f, o;
        for (long g = 0; g < 4; g++)
            s[g] = add(l, add(l, xw[g * n + u], hr[g * n + u]), bias_of(l, g, u));
        i = act(l, 0, peeped(l, s[0], 0, u, c[u]));
        f = number_of(l->node, "input_forget", 0) ? step(1.0 - i, l->type) : act(l, 0, peeped(l, s[2], 2, u, c[u]));
        c[u] = add(l, mul(l, f, c[u]), mul(l, i, act(l, 1, s[3])));
        o = act(l, 0, peeped(l, s[1], 1, u, c[u]));
        h[u] = mul(l, o, act(l, 2, c[u]));
    }
}

static void prepare(struct layer *l, int direction)
{
    static const char *const WITH_ALPHA[] = {"Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu"};
    static const char *const WITH_BETA[] = {"Affine", "ScaledTanh", "HardSigmoid"};
    const struct attribute *names = find(l->node, "activations");
    const struct attribute *alphas = find(l->node, "activation_alpha"), *betas = find(l->node, "activation_beta");
    long used_alphas = 0, used_betas = 0;
    int count = l->gates == 4 ? 3 : l->gates == 3 ? 2 : 1;
    for (int i = 0; i < (direction + 1) * count; i++) {
        const char *name = names ? names->words[i] : l->gates == 1 || i % count ? "Tanh" : "Sigmoid";
        int own = i % count;
        l->names[own] = name;
        l->alpha[own] = strcmp(name, "LeakyRelu") == 0 ? 0.01f : strcmp(name, "HardSigmoid") == 0 ? 0.2f : 1.0;
        l->beta[own] = 0.5;
        for (unsigned j = 0; j < sizeof WITH_ALPHA / sizeof *WITH_ALPHA; j++)
            if (strcmp(name, WITH_ALPHA[j]) == 0 && alphas && used_alphas < alphas->count)
                l->alpha[own] = (float)real_at(alphas, used_alphas++);
        for (unsigned j = 0; j < sizeof WITH_BETA / sizeof *WITH_BETA; j++)
            if (strcmp(name, WITH_BETA[j]) == 0 && betas && used_betas < betas->count)
                l->beta[own] = (float)real_at(betas, used_betas++);
    }
}

static const double *part(const struct tensor *x, int direction)
{
    return x ? x->real + x->count / x->shape[0] * direction : NULL;
}

static void run(struct layer *l, int direction, int backwards, struct tensor *y, double *h, double *c)
{
    const struct tensor *x = l->node->input[0], *lengths = input_of(l->node, 4);
    long columns = l->gates * l->hidden, directions = l->node->input[1]->shape[0];
    int batch_first = (int)number_of(l->node, "layout", 0);
    const double *w = turned(l->w, columns, l->inputs), *r = turned(l->r, columns, l->hidden);
    for (long b = 0; b < l->batch; b++) {
        long length = lengths ? (long)lengths->whole[b] : l->steps;
        double *own_h = h + b * l->hidden, *own_c = c + b * l->hidden;
        for (long s = 0; s < length; s++) {
            long t = backwards ? length - 1 - s : s;
            const double *row = x->real + (batch_first ? b * l->steps + t : t * l->batch + b) * l->inputs;
            const double *xw = multiplied(row, w, 1, l->inputs, columns, l->type);
            const double *hr = multiplied(own_h, r, 1, l->hidden, columns, l->type);
            long out = batch_first ? (b * l->steps + t) * directions + direction
                                   : (t * directions + direction) * l->batch + b;
            if (l->gates == 1)
                simple_step(l, xw, hr, own_h);
            else if (l->gates == 3)
                gated_step(l, xw, hr, own_h);
            else
                memory_step(l, xw, hr, own_h, own_c);
            memcpy(y->real + out * l->hidden, own_h, (size_t)l->hidden * sizeof *own_h);
        }
    }
}

/* States are [directions, batch, hidden]; with layout 1 batch comes first. */
static void copy_state(struct tensor *state, double *own, int direction, long batch, long hidden, int first, int out)
{
    long directions = state->count / (batch * hidden);
    for (long b = 0; b < batch; b++)
        for (long u = 0; u < hidden; u++) {
            long at = (first ? b * directions + direction : direction * batch + b) * hidden + u;
            if (out)
                state->real[at] = own[b * hidden + u];
            else
                own[b * hidden + u] = state->real[at];
        }
}

int recurrent(struct node *node)
{
    const struct tensor *x = node->input[0];
    const char *way = word_of(node, "direction", "forward");
    int first = (int)number_of(node, "layout", 0), directions;
    struct layer l = {0};
    struct tensor *y, *y_h, *y_c;
    l.gates = strcmp(node->operator, "RNN") == 0 ? 1 : strcmp(node->operator, "GRU") == 0 ? 3
            : strcmp(node->operator, "LSTM") == 0 ? 4 : 0;
    if (l.gates == 0)
        return 0;
    l.node = node;
    l.type = x->type;
    l.steps = x->shape[first];
    l.batch = x->shape[!first];
    l.inputs = x->shape[2];
    l.hidden = node->input[2]->shape[2];
    l.limit = real_of(node, "clip", -1.0);
    directions = (int)node->input[1]->shape[0];
    {
        long by_step[4] = {l.steps, directions, l.batch, l.hidden}, by_row[4] = {l.batch, l.steps, directions, l.hidden};
        long states[3] = {directions, l.batch, l.hidden}, states_by_row[3] = {l.batch, directions, l.hidden};
        y = make(x->type, 4, first ? by_row : by_step);
        y_h = make(x->type, 3, first ? states_by_row : states);
        y_c = make(x->type, 3, first ? states_by_row : states);
    }
    for (int d = 0; d < directions; d++) {
        double *h = claim(l.batch * l.hidden, sizeof *h), *c = claim(l.batch * l.hidden, sizeof *c);
        l.w = part(node->input[1], d);
        l.r = part(node->input[2], d);
        l.bias = part(input_of(node, 3), d);
        l.peephole = part(input_of(node, 7), d);
        prepare(&l, d);
        if (input_of(node, 5))
            copy_state(node->input[5], h, d, l.batch, l.hidden, first, 0);
        if (input_of(node, 6))
            copy_state(node->input[6], c, d, l.batch, l.hidden, first, 0);
        run(&l, d, d == 1 || strcmp(way, "reverse") == 0, y, h, c);
        copy_state(y_h, h, d, l.batch, l.hidden, first, 1);
        copy_state(y_c, c, d, l.batch, l.hidden, first, 1);
    }
    put(node, y);
    put(node, y_h);
    if (l.gates == 4)
        put(node, y_c);
    return 1;
}
