/* Sections 4 and 7, and the element-wise rows of section 10.3. */

#include <math.h>
#include <string.h>

#include "opinion.h"

struct function { const char *name; double (*of)(double); };

static double root(double x) { return sqrt(x); }
static double negated(double x) { return -x; }
static double sign_of(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : isnan(x) ? x : 0.0; }
static double inverse(double x) { return 1.0 / x; }
static double rectified(double x) { return x <= 0 ? 0.0 : x; }

static const struct function FUNCTIONS[] = {
    {"Exp", exp_1}, {"Log", log_1}, {"Tanh", tanh_1}, {"Sigmoid", sigmoid_1}, {"Softplus", softplus_1},
    {"Erf", erf_1}, {"Sin", sin_1}, {"Cos", cos_1}, {"Tan", tan_1}, {"Asin", asin_1}, {"Acos", acos_1},
    {"Atan", atan_1}, {"Sinh", sinh_1}, {"Cosh", cosh_1}, {"Asinh", asinh_1}, {"Acosh", acosh_1},
    {"Atanh", atanh_1}, {"Sqrt", root}, {"Abs", fabs}, {"Neg", negated}, {"Floor", floor}, {"Ceil", ceil},
    {"Round", rint}, {"Sign", sign_of}, {"Reciprocal", inverse}, {"Relu", rectified}};

static int64_t whole_function(const char *name, int64_t x, enum type type)
{
    int negative = is_signed(type) && x < 0;
    if (strcmp(name, "Abs") == 0)
        return wrap(negative ? (int64_t)(0 - (uint64_t)x) : x, type);
    if (strcmp(name, "Neg") == 0)
        return wrap((int64_t)(0 - (uint64_t)x), type);
    if (strcmp(name, "Sign") == 0)
        return negative ? -1 : x != 0;
    if (strcmp(name, "Relu") == 0)
        return negative ? 0 : x;
    give_up("no integers", name);
    return 0;
}

static int unary(struct node *node)
{
    const struct function *function = FUNCTIONS, *end = FUNCTIONS + sizeof FUNCTIONS / sizeof *FUNCTIONS;
    const struct tensor *x = node->input[0];
    struct tensor *y;
    while (function < end && strcmp(function->name, node->operator) != 0)
        function++;
    if (function == end)
        return 0;
    y = like(x, x->type);
    for (long i = 0; i < x->count; i++)
        if (x->real)
            y->real[i] = step(function->of(x->real[i]), x->type);
        else
            y->whole[i] = whole_function(node->operator, x->whole[i], x->type);
    put(node, y);
    return 1;
}

static int64_t quotient(int64_t a, int64_t b, enum type type)
{
    if (b == 0)
        give_up("rejected", "integer division by zero");
    if (type == UINT64)
        return (int64_t)((uint64_t)a / (uint64_t)b);
    return b == -1 ? wrap((int64_t)(0 - (uint64_t)a), type) : a / b;
}

static int64_t remainder_of(int64_t a, int64_t b, enum type type, int like_c)
{
    int64_t r;
    if (b == 0)
        give_up("rejected", "integer division by zero");
    if (type == UINT64)
        return (int64_t)((uint64_t)a % (uint64_t)b);
    r = b == -1 ? 0 : a % b;
    return !like_c && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static int64_t whole_power(int64_t x, const struct tensor *exponents, long at, enum type type)
{
    int64_t n, result = 1;
    if (is_float(exponents->type)) {
        double base = type == UINT64 ? (double)(uint64_t)x : (double)x;
        return saturated(power_1(base, exponents->real[at]), type);
    }
    n = exponents->whole[at];
    if (exponents->type != UINT64 && n < 0) {
        if (x == 0)
            give_up("rejected", "integer division by zero");
        return x == 1 ? 1 : is_signed(type) && x == -1 ? (n % 2 ? -1 : 1) : 0;
    }
    for (uint64_t rest = (uint64_t)n, base = (uint64_t)x; rest; rest >>= 1, base *= base)
        if (rest & 1)
            result = (int64_t)((uint64_t)result * base);
    return wrap(result, type);
}

static double real_binary(const struct node *node, double a, double b, enum type type)
{
    switch (node->operator[0]) {
    case 'A': return step(a + b, type);
    case 'S': return step(a - b, type);
    case 'D': return step(a / b, type);
    case 'P': return a < 0 ? step(b * a, type) : a;
    default: return node->operator[1] == 'u' ? step(a * b, type) : fmod(a, b);
    }
}

static int64_t whole_binary(const struct node *node, int64_t a, int64_t b, enum type type)
{
    switch (node->operator[0]) {
    case 'A': return wrap((int64_t)((uint64_t)a + (uint64_t)b), type);
    case 'S': return wrap((int64_t)((uint64_t)a - (uint64_t)b), type);
    case 'D': return quotient(a, b, type);
    case 'P': return below(a, 0, type) ? wrap((int64_t)((uint64_t)a * (uint64_t)b), type) : a;
    default:
        return node->operator[1] == 'u' ? wrap((int64_t)((uint64_t)a * (uint64_t)b), type)
                                        : remainder_of(a, b, type, (int)number_of(node, "fmod", 0));
    }
}

static int binary(struct node *node)
{
    static const char *const NAMES[] = {"Add", "Sub", "Mul", "Div", "Mod", "PRelu", "Pow"};
    long shape[MAXIMUM_RANK];
    const struct tensor *a = node->input[0], *b;
    struct tensor *y;
    int rank, known = 0;
    for (unsigned i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        known |= strcmp(node->operator, NAMES[i]) == 0;
    if (!known)
        return 0;
    b = node->input[1];
    rank = broadcast(broadcast(0, shape, a), shape, b);
    y = make(a->type, rank, shape);
    for (long i = 0; i < y->count; i++) {
        long left = place(a, rank, shape, i), right = place(b, rank, shape, i);
        if (strcmp(node->operator, "Pow") == 0) {
            if (a->real)
                y->real[i] = step(power_1(a->real[left], carrier_value(b, right)), a->type);
            else
                y->whole[i] = whole_power(a->whole[left], b, right, a->type);
        } else if (a->real)
            y->real[i] = real_binary(node, a->real[left], b->real[right], a->type);
        else
            y->whole[i] = whole_binary(node, a->whole[left], b->whole[right], a->type);
    }
    put(node, y);
    return 1;
}

static int clip(struct node *node)
{
    const struct tensor *x = node->input[0], *low = input_of(node, 1), *high = input_of(node, 2);
    struct tensor *y;
    if (strcmp(node->operator, "Clip") != 0)
        return 0;
    y = like(x, x->type);
    for (long i = 0; i < x->count; i++)
        if (x->real) {
            y->real[i] = low ? larger(x->real[i], low->real[0]) : x->real[i];
            y->real[i] = high ? smaller(y->real[i], high->real[0]) : y->real[i];
        } else {
            y->whole[i] = low && below(x->whole[i], low->whole[0], x->type) ? low->whole[0] : x->whole[i];
            if (high && below(high->whole[0], y->whole[i], x->type))
                y->whole[i] = high->whole[0];
        }
    put(node, y);
    return 1;
}

int elements(struct node *node) { return unary(node) || binary(node) || clip(node); }
