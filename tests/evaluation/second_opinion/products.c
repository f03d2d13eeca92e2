/* Section 2: the chain, and the products that are made of it. */

#include <math.h>
#include <string.h>

#include "opinion.h"

#define BLOCK 256

struct chain begin(enum type type)
{
    struct chain chain = {type, 0, 0.0, 0.0, 0};
    return chain;
}

static double plus(double a, double b, enum type type)
{
    return type == FLOAT64 ? a + b : (double)((float)a + (float)b);
}

void feed(struct chain *chain, double a, double b)
{
    if (chain->fed == BLOCK) {
        chain->total = plus(chain->total, chain->sum, chain->type);
        chain->sum = 0.0;
        chain->fed = 0;
    }
    chain->sum = chain->type == FLOAT64 ? fma(a, b, chain->sum)
                                        : (double)fmaf((float)a, (float)b, (float)chain->sum);
    chain->fed++;
}

double ended(struct chain *chain)
{
    return chain->fed ? plus(chain->total, chain->sum, chain->type) : chain->total;
}

/* [rows, inner] times [inner, columns], one after the other in memory */
double *multiplied(const double *a, const double *b, long rows, long inner, long columns, enum type type)
{
    double *product = claim(rows * columns, sizeof *product);
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++) {
            struct chain chain = begin(type);
            for (long k = 0; k < inner; k++)
                feed(&chain, a[i * inner + k], b[k * columns + j]);
            product[i * columns + j] = ended(&chain);
        }
    return product;
}

static struct tensor *reshaped(const struct tensor *x, int rank, const long *shape)
{
    struct tensor *y = claim(1, sizeof *y);
    *y = *x;
    y->rank = rank;
    for (int i = 0; i < rank; i++)
        y->shape[i] = shape[i];
    return y;
}

static void matmul(struct node *node)
{
    const struct tensor *a = node->input[0], *b = node->input[1];
    long a_shape[2] = {1, a->shape[0]}, b_shape[2] = {b->shape[0], 1}, shape[MAXIMUM_RANK], result[MAXIMUM_RANK];
    const struct tensor *left = a->rank == 1 ? reshaped(a, 2, a_shape) : a;
    const struct tensor *right = b->rank == 1 ? reshaped(b, 2, b_shape) : b;
    const struct tensor *batch_of_a = reshaped(left, left->rank - 2, left->shape);
    const struct tensor *batch_of_b = reshaped(right, right->rank - 2, right->shape);
    long rows = left->shape[left->rank - 2], inner = left->shape[left->rank - 1];
    long columns = right->shape[right->rank - 1], batches;
    int rank = broadcast(broadcast(0, shape, batch_of_a), shape, batch_of_b), out = 0;
    struct tensor *y;
    for (; out < rank; out++)
        result[out] = shape[out];
    if (a->rank > 1)
        result[out++] = rows;
    if (b->rank > 1)
        result[out++] = columns;
    y = make(a->type, out, result);
    batches = product_of(rank, shape);
    for (long i = 0; i < batches; i++) {
        long from_a = place(batch_of_a, rank, shape, i) * rows * inner;
        long from_b = place(batch_of_b, rank, shape, i) * inner * columns;
        for (long r = 0; r < rows; r++)
            for (long c = 0; c < columns; c++) {
                struct chain chain = begin(a->type);
                uint64_t exact = 0;
                for (long k = 0; k < inner; k++)
                    if (a->real)
                        feed(&chain, a->real[from_a + r * inner + k], b->real[from_b + k * columns + c]);
                    else
                        exact += (uint64_t)a->whole[from_a + r * inner + k] *
                                 (uint64_t)b->whole[from_b + k * columns + c];
                if (a->real)
                    y->real[(i * rows + r) * columns + c] = ended(&chain);
                else
                    y->whole[(i * rows + r) * columns + c] = wrap((int64_t)exact, a->type);
            }
    }
    put(node, y);
}

static void gemm(struct node *node)
{
    const struct tensor *a = node->input[0], *b = node->input[1], *c = input_of(node, 2);
    long turn_a = number_of(node, "transA", 0), turn_b = number_of(node, "transB", 0);
    long shape[2] = {a->shape[turn_a ? 1 : 0], b->shape[turn_b ? 0 : 1]}, inner = a->shape[turn_a ? 0 : 1];
    double alpha = real_of(node, "alpha", 1.0), beta = real_of(node, "beta", 1.0);
    enum type t = a->type;
    struct tensor *y = make(t, 2, shape);
    for (long i = 0; i < y->count; i++) {
        long row = i / shape[1], column = i % shape[1];
        struct chain chain = begin(t);
        for (long k = 0; k < inner; k++)
            feed(&chain, a->real[turn_a ? k * shape[0] + row : row * inner + k],
                 b->real[turn_b ? column * inner + k : k * shape[1] + column]);
        y->real[i] = ended(&chain);
        if (alpha != 1.0)
            y->real[i] = step(y->real[i] * alpha, t);
        if (c) {
            double bias = c->real[place(c, 2, shape, i)];
            if (beta != 1.0)
                bias = step(bias * beta, t);
            y->real[i] = step(y->real[i] + bias, t);
        }
    }
    put(node, y);
}

int products(struct node *node)
{
    if (strcmp(node->operator, "MatMul") == 0)
        matmul(node);
    else if (strcmp(node->operator, "Gemm") == 0)
        gemm(node);
    else
        return 0;
    return 1;
}
