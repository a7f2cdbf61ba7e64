"""Packaging: the packages are found by folder, and the one command is `testbed`."""

from setuptools import find_packages, setup

setup(
    name="testbed",
    version="0.1.0",
    description="See, measure and understand how Kubernetes moves a packet, on one Linux machine",
    packages=find_packages(include=["testbed", "testbed.*"]),
    package_data={"testbed": ["**/*.j2", "**/*.css", "**/*.js", "**/*.yaml", "**/*.json", "**/*.sh"]},
    python_requires=">=3.11",
    entry_points={"console_scripts": ["testbed = testbed.cli.main:entry"]},
)
