"""Memory of a GPU, with a driver that is simulated."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from wyoming_faster_whisper.engine.gpu_memory import ALL, GpuError, GpuMemory, PoolUse

OUT_OF_RANGE = 101  # CUDA_ERROR_INVALID_DEVICE


class Driver:
    """The functions of libcuda that are called, for one GPU of 1,000 bytes."""

    def __init__(self) -> None:
        self.attributes = {4: 0, 5: 300, 7: 100}  # threshold, reserved, used
        self.contexts = 0  # retained
        self.current = 0  # pushed

    def cuInit(self, flags: Any) -> int:
        return 0

    def cuDeviceGet(self, device: Any, index: Any) -> int:
        return 0 if index.value == 0 else OUT_OF_RANGE

    def cuDeviceGetDefaultMemPool(self, pool: Any, device: Any) -> int:
        return 0

    def cuMemPoolSetAttribute(self, pool: Any, name: Any, value: Any) -> int:
        self.attributes[name.value] = value._obj.value
        return 0

    def cuMemPoolGetAttribute(self, pool: Any, name: Any, value: Any) -> int:
        value._obj.value = self.attributes[name.value]
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> int:
        self.contexts += 1
        return 0

    def cuDevicePrimaryCtxRelease_v2(self, device: Any) -> int:
        self.contexts -= 1
        return 0

    def cuCtxPushCurrent_v2(self, context: Any) -> int:
        self.current += 1
        return 0

    def cuCtxPopCurrent_v2(self, context: Any) -> int:
        self.current -= 1
        return 0

    def cuMemGetInfo_v2(self, free: Any, total: Any) -> int:
        assert self.current
        free._obj.value, total._obj.value = 50, 1000
        return 0


class OldDriver(Driver):
    """A driver before CUDA 11.2."""

    cuDeviceGetDefaultMemPool: Any = property()


def test_the_pool_keeps_what_it_is_told_to() -> None:
    driver = Driver()
    gpu = GpuMemory(driver=driver)
    gpu.keep(2_000_000)
    assert driver.attributes[4] == 2_000_000
    gpu.keep(ALL)
    assert driver.attributes[4] == ctypes.c_uint64(-1).value


def test_the_pool_tells_what_it_holds() -> None:
    assert GpuMemory(driver=Driver()).pool() == PoolUse(reserved=300, used=100)


def test_unused_memory_of_the_pool_counts_as_free() -> None:
    driver = Driver()
    assert GpuMemory(driver=driver).free_share() == pytest.approx(0.25)
    assert (driver.contexts, driver.current) == (0, 0)


def test_a_gpu_that_is_not_there_is_an_error() -> None:
    with pytest.raises(GpuError, match="cuDeviceGet with error 101"):
        GpuMemory(1, driver=Driver())


def test_a_driver_without_pools_is_too_old() -> None:
    with pytest.raises(GpuError, match="has no cuDeviceGetDefaultMemPool; it is too old"):
        GpuMemory(driver=OldDriver()).keep(ALL)
