"""The innermost loops of a matrix product, in the words of LLVM: a block of C that never leaves the registers (E10).

    C[i, j] = sum_k A[i, k] B[k, j],  k = 0, 1, ... in this order

Numba has no type for a vector register, and LLVM does not find this loop by itself: it would keep the sums in memory.
So its instructions are written out here, a product and its addition in one where there is such a one, with as many sums
as there are registers for (the micro-kernel and micro-panel of Goto and van de Geijn 2008; Van Zee and van de Geijn
2015). `product` cuts its matrices into such blocks.
"""

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, codegen, config
from numba.extending import intrinsic

# What Numba compiles for, which is part of its cache's key: code for other registers must not be found there.
FEATURES = (codegen.get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES).split(",")
X86, AVX512 = binding.get_process_triple().startswith(("x86", "i")), "+avx512f" in FEATURES
REGISTER = 64 if AVX512 else 32 if "+avx2" in FEATURES else 16  # bytes
# Sums of a block, a row of B and an entry of A: 28 of 32 registers, or all 16 that x86 had before AVX-512.
ROWS, VECTORS = 4 if X86 and not AVX512 else 8, 3


class _Emitter:  # pragma: no cover
    # Instructions on registers full of numbers of one type.

    def __init__(self, context, builder, dtype):
        self.builder, self.size = builder, dtype.bitwidth // 8
        self.address = ir.IntType(context.address_size)
        self.number = ir.FloatType() if self.size == 4 else ir.DoubleType()
        self.lanes = REGISTER // self.size
        self.vector = ir.VectorType(self.number, self.lanes)

    def pointer(self, start, i, step, kind):
        # To entry i from an address on, `step` bytes from one to the next.
        place = self.builder.add(start, self.builder.mul(step, self.address(i)))
        return self.builder.inttoptr(place, kind.as_pointer())

    def load(self, start, i, step, kind):
        return self.builder.load(self.pointer(start, i, step, kind), align=self.size)

    def store(self, vector, start, j):
        self.builder.store(vector, self.pointer(start, j, self.address(REGISTER), self.vector), align=self.size)

    def row(self, start, vectors):
        return [self.load(start, j, self.address(REGISTER), self.vector) for j in range(vectors)]

    def in_all_lanes(self, number):
        vector = self.builder.insert_element(self.vector(ir.Undefined), number, ir.IntType(32)(0))
        return self.builder.shuffle_vector(vector, vector, ir.VectorType(ir.IntType(32), self.lanes)(None))

    def multiply_add(self, a, b, c):
        name = f"llvm.fmuladd.v{self.lanes}f{8 * self.size}"
        return self.builder.call(cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(self.vector, [self.vector] * 3), name), [a, b, c])

    def loop(self, times, walkers):
        # A loop in which each walker, (address, step), is an address that goes on by its step.
        places = [cgutils.alloca_once_value(self.builder, start) for start, _ in walkers]
        with cgutils.for_range(self.builder, times):
            now = [self.builder.load(place) for place in places]
            yield now
            for place, start, (_, step) in zip(places, now, walkers):
                self.builder.store(self.builder.add(start, step), place)

    def pack(self, vectors, panel, b):
        start, (below, _), (rows, _) = b
        step = self.address(vectors * REGISTER)
        for of_panel, of_b in self.loop(rows, ((panel[0], step), (start, below))):
            for j, vector in enumerate(self.row(of_b, vectors)):
                self.store(vector, of_panel, j)

    def block(self, vectors, c, a, panel):
        (start_c, (below_c, _), _), (start_a, (below_a, beside_a), (_, inner)) = c, a
        zero = self.vector(None)
        sums = [[cgutils.alloca_once_value(self.builder, zero) for _ in range(vectors)] for _ in range(ROWS)]
        step = self.address(vectors * REGISTER)
        for of_panel, of_a in self.loop(inner, ((panel[0], step), (start_a, beside_a))):
            b = self.row(of_panel, vectors)
            for i in range(ROWS):
                entry = self.in_all_lanes(self.load(of_a, i, below_a, self.number))
                for place, of_b in zip(sums[i], b):
                    self.builder.store(self.multiply_add(entry, of_b, self.builder.load(place)), place)
        for i in range(ROWS):
            of_c = self.builder.add(start_c, self.builder.mul(below_c, self.address(i)))
            for j, place in enumerate(sums[i]):
                self.store(self.builder.load(place), of_c, j)


def _generator(emit):  # pragma: no cover
    # Of an intrinsic of some arrays of one type, and of how many registers its rows have: each case has its own code.
    def generate(context, builder, signature, arguments):
        emitter, arrays = _Emitter(context, builder, signature.args[0].dtype), []
        for kind, value in zip(signature.args[:-1], arguments):
            array = context.make_array(kind)(context, builder, value)
            arrays.append((builder.ptrtoint(array.data, emitter.address), cgutils.unpack_tuple(builder, array.strides),
                           cgutils.unpack_tuple(builder, array.shape)))
        for vectors in range(1, VECTORS + 1):
            case = builder.icmp_signed("==", arguments[-1], arguments[-1].type(vectors))
            with builder.if_then(case):
                emit(emitter, vectors, *arrays)
        return context.get_dummy_value()

    return generate


@intrinsic
def pack_rows(_, panel, b, vectors):  # pragma: no cover
    """Copy the first columns of `b`, whose rows lie entry beside entry, to a panel: row after row, without gaps."""
    return types.void(panel, b, vectors), _generator(_Emitter.pack)


@intrinsic
def block_product(_, c, a, panel, vectors):  # pragma: no cover
    """Fill ROWS rows of `c`, so many registers wide, with the product of as many rows of `a` and a panel (E10)."""
    return types.void(c, a, panel, vectors), _generator(_Emitter.block)
