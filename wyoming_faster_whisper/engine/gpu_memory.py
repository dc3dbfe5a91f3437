"""Memory of an NVIDIA GPU: the pool of CUDA's allocator, and what is free. Any thread.

CTranslate2 allocates from the device's default memory pool (cudaMallocAsync). By default the
driver takes freed memory back at each synchronisation, and the next decode has to map it again.
Below the pool's release threshold the memory stays with the process. The threshold holds for the
process and is set before a model is loaded (CUDA driver API, cuMemPoolSetAttribute).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

# Values of CUmemPool_attribute.
_RELEASE_THRESHOLD, _RESERVED, _USED = 4, 5, 7

ALL = 2**64 - 1
"""Release threshold in bytes with which a pool gives nothing back."""


class GpuError(Exception):
    """The driver is missing or refuses a call."""


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Bytes of a memory pool."""

    reserved: int  # held by the process
    used: int  # of these, allocated


class GpuMemory:
    """Memory of one GPU.

    Args:
        index: of the GPU, as in --device cuda:INDEX.
        driver: the CUDA driver's library; None = that of this machine.

    Raises:
        GpuError: there is no driver, or no such GPU.
    """

    def __init__(self, index: int = 0, driver: Any = None) -> None:
        if driver is None:
            try:
                driver = ctypes.CDLL("libcuda.so.1")
            except OSError as error:
                raise GpuError(f"the NVIDIA driver is not installed: {error}") from error
        self._driver = driver
        self._call("cuInit", ctypes.c_uint(0))
        self._device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(self._device), ctypes.c_int(index))

    def keep(self, size: int) -> None:
        """Let the pool keep up to this many bytes of freed memory; ALL = everything.

        Raises:
            GpuError: the driver is too old (before CUDA 11.2), or the GPU has no pools.
        """
        threshold = ctypes.c_uint64(size)
        self._call(
            "cuMemPoolSetAttribute",
            self._pool(),
            ctypes.c_int(_RELEASE_THRESHOLD),
            ctypes.byref(threshold),
        )

    def pool(self) -> PoolUse:
        """Return what the pool holds.

        Raises:
            GpuError: as keep().
        """
        return PoolUse(self._attribute(_RESERVED), self._attribute(_USED))

    def free_share(self) -> float:
        """Return the share of the GPU's memory that any process may still allocate, 0 to 1.

        Memory that the pool holds but does not use counts as free.

        Raises:
            GpuError: the driver refuses.
        """
        context, free, total = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self._device)
        try:
            self._call("cuCtxPushCurrent_v2", context)
            try:
                self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
            finally:
                self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
        finally:
            self._call("cuDevicePrimaryCtxRelease_v2", self._device)
        pool = self.pool()
        return (free.value + pool.reserved - pool.used) / max(1, total.value)

    def _pool(self) -> ctypes.c_void_p:
        pool = ctypes.c_void_p()
        self._call("cuDeviceGetDefaultMemPool", ctypes.byref(pool), self._device)
        return pool

    def _attribute(self, number: int) -> int:
        value = ctypes.c_uint64()
        self._call(
            "cuMemPoolGetAttribute", self._pool(), ctypes.c_int(number), ctypes.byref(value)
        )
        return value.value

    def _call(self, name: str, *arguments: Any) -> None:
        try:
            function = getattr(self._driver, name)
        except AttributeError as error:
            raise GpuError(f"the NVIDIA driver has no {name}; it is too old") from error
        if status := function(*arguments):
            raise GpuError(f"the NVIDIA driver answers {name} with error {status}")
