"""Whatever a record holds, beside a calm fleet, through the whole job: `make fuzz`."""
