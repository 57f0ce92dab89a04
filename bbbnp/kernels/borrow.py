"""Arrays that are only borrowed: whoever called holds them, and no slice of them counts a reference.

Numba counts the references to an array's memory, in an atomic instruction for each slice that is made and each that is
left; in a training step of a small network they took half of its time.
"""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload


def borrowed(value):
    """Arrays in a tuple, numbers beside them or not, without a count of references: they must outlive the result."""
    return value


@overload(borrowed)
def _borrowed(value):  # pragma: no cover
    return lambda value: _without_counts(value)


def _suits(kind):
    # What else is counted would be given back without having been taken.
    numbers = isinstance(kind, (types.Array, types.Number, types.Boolean, types.NoneType))
    return numbers or isinstance(kind, types.BaseTuple) and all(map(_suits, kind))


@intrinsic
def _without_counts(_, value):  # pragma: no cover
    def generate(context, builder, signature, arguments):
        def without_count(kind, value):
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, value)
                array.meminfo = cgutils.get_null_value(array.meminfo.type)
                return array._getvalue()
            for i, part in enumerate(kind if isinstance(kind, types.BaseTuple) else ()):
                value = builder.insert_value(value, without_count(part, builder.extract_value(value, i)), i)
            return value

        return without_count(signature.args[0], arguments[0])

    return (value(value), generate) if _suits(value) else None
