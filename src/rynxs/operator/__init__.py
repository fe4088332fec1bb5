"""The operator: it turns Agents into computers. Observe, plan, record, apply."""
