"""Settings: one frozen value, read from flags, the process environment, `.env` and defaults, in this order.

In: flags, and the directory of `.env`. Out: `Settings` with parsed values; one that cannot be parsed is an error when
it is read. No other package reads the environment.
"""

from typing import TYPE_CHECKING

from build_lib.lazy import attach

if TYPE_CHECKING:
    from build_lib.settings import documents as documents
    from build_lib.settings.builder_address import BuilderAddress as BuilderAddress
    from build_lib.settings.ci import CiService as CiService
    from build_lib.settings.ci import ci_service as ci_service
    from build_lib.settings.masking import masked as masked
    from build_lib.settings.masking import masked_value as masked_value
    from build_lib.settings.masking import without_password_of as without_password_of
    from build_lib.settings.origin import read_env_file as read_env_file
    from build_lib.settings.origin import set_again as set_again
    from build_lib.settings.package_paths import PACKAGES as PACKAGES
    from build_lib.settings.package_paths import PackagePath as PackagePath
    from build_lib.settings.package_paths import ServicePath as ServicePath
    from build_lib.settings.parsers import MirrorUse as MirrorUse
    from build_lib.settings.values import Settings as Settings
    from build_lib.settings.values import check_flags as check_flags
    from build_lib.settings.values import has_secret as has_secret
    from build_lib.settings.values import misspelt_in_env_file as misspelt_in_env_file
    from build_lib.settings.values import unknown_in_env_file as unknown_in_env_file
    from build_lib.settings.values import worked_on as worked_on
else:
    __getattr__ = attach(__name__, __file__)
